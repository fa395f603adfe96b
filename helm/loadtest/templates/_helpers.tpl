{{/* The release's name, with the chart's unless it says so already; at most 40 characters, so that suffixes have room. */}}
{{- define "loadtest.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Call with a dict of `root` and `component`. */}}
{{- define "loadtest.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "loadtest.labels" -}}
{{ include "loadtest.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: cloudbase-loadtest
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A Deployment of locust. Call with a dict of `root`, `component`, `replicas`, `values`, `arguments` and `container` (YAML of what else it has). */}}
{{- define "loadtest.deployment" -}}
{{- $image := .root.Values.image -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "loadtest.name" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "loadtest.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  revisionHistoryLimit: 1
  strategy: {type: Recreate}
  selector:
    matchLabels: {{- include "loadtest.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "loadtest.labels" . | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      {{- with .values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      containers:
        - name: locust
          {{- if $image.digest }}
          image: {{ $image.repository }}@{{ $image.digest }}
          {{- else }}
          image: {{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
          {{- end }}
          imagePullPolicy: {{ $image.pullPolicy }}
          args: {{- toYaml .arguments | nindent 12 }}
          {{- with .container }}
          {{- . | nindent 10 }}
          {{- end }}
          resources: {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: scratch, mountPath: /tmp}
      volumes:
        - name: scratch
          emptyDir: {sizeLimit: 64Mi}
{{- end -}}

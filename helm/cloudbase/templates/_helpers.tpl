{{/* The release's name, with the chart's unless it says so already; at most 40 characters, so that suffixes have room. */}}
{{- define "cloudbase.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of everything. Call with a dict of `root` and `component`. */}}
{{- define "cloudbase.labels" -}}
{{ include "cloudbase.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: cloudbase
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cloudbase.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* An image by digest where one is given (a tag beside it is for the reader), by tag else; its default is the chart's version of the platform. */}}
{{- define "cloudbase.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}{{ with .image.tag }}:{{ . }}{{ end }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Settings as variables: a prefix and a map whose keys are written headSize for HEAD_SIZE; lists with commas, maps as NAME=VALUE. */}}
{{- define "cloudbase.variables" -}}
{{- range $key, $value := .settings }}
{{- $text := $value }}
{{- if kindIs "slice" $value }}{{ $text = join "," $value }}{{ end }}
{{- if kindIs "map" $value }}{{ $pairs := list }}{{ range $k, $v := $value }}{{ $pairs = append $pairs (printf "%s=%s" $k $v) }}{{ end }}{{ $text = join "," $pairs }}{{ end }}
{{- if kindIs "float64" $value }}{{ $text = $value | toJson }}{{ end }}
- {name: {{ printf "%s_%s" $.prefix ($key | snakecase | upper) }}, value: {{ $text | quote }}}
{{- end }}
{{- end -}}

{{/* "true" where there are several routers, or may be. */}}
{{- define "cloudbase.several-routers" -}}
{{- if or (gt (int .Values.router.replicas) 1) .Values.router.autoscaling.enabled -}}true{{- end -}}
{{- end -}}

{{/* "true" where the chart runs a Redis of its own. */}}
{{- define "cloudbase.own-redis" -}}
{{- if and (include "cloudbase.several-routers" .) .Values.redis.enabled (not .Values.redis.url) (not .Values.redis.urlSecret.name) -}}true{{- end -}}
{{- end -}}

{{/* Annotations by which a Prometheus without an operator finds the admin port. */}}
{{- define "cloudbase.scraped" -}}
{{- if .Values.metrics.scrapeAnnotations -}}
prometheus.io/scrape: "true"
prometheus.io/port: "8081"
prometheus.io/path: /metrics
{{- end -}}
{{- end -}}

{{/* What each container of the platform may do: nothing. */}}
{{- define "cloudbase.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* For skaffold's sync: the image's code where it can be written, and nothing else is. The folder itself, whose times are its copier's: the volume's
are root's, and cp would fail at them. */}}
{{- define "cloudbase.code" -}}
- name: code
  image: {{ include "cloudbase.image" (dict "root" . "image" .Values.image) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [cp, -a, /app, /code]
  securityContext: {{- include "cloudbase.container-security" . | nindent 4 }}
  volumeMounts:
    - {name: code, mountPath: /code}
{{- end -}}

{{- define "cloudbase.pod-security" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Where pods go. Call with a dict of `root`, `component` and `values` (the component's own). */}}
{{- define "cloudbase.placement" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "cloudbase.selector" $ | nindent 8 }}
  {{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/*
Roles and bindings of one service account from its file of rules. Call with a dict of `root`, `component`.
Rules under `everywhere` are cluster-wide, or hold in each of `namespaces`; those under `own` in the release's namespace; those under `builds` in
that of builds.
*/}}
{{- define "cloudbase.rights" -}}
{{- $root := .root -}}
{{- $name := printf "%s-%s" (include "cloudbase.name" .root) .component -}}
{{- $labels := include "cloudbase.labels" . -}}
{{- $file := printf "rbac/%s.yaml" .component -}}
{{- $rules := $root.Files.Get $file | replace "cloudbase-" (printf "%s-" (include "cloudbase.name" .root)) | fromYaml -}}
{{- $subject := dict "kind" "ServiceAccount" "name" $name "namespace" $root.Release.Namespace -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- $labels | nindent 4 }}
automountServiceAccountToken: false
{{- if not $root.Values.namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels: {{- $labels | nindent 4 }}
rules: {{- toYaml $rules.everywhere | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels: {{- $labels | nindent 4 }}
subjects: [{{ toJson $subject }}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }}}
{{- end }}
{{- range $root.Values.namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}-functions
  namespace: {{ . }}
  labels: {{- $labels | nindent 4 }}
rules:
  {{- range $rules.everywhere }}
  {{- $resources := without .resources "namespaces" }}
  {{- if $resources }}
  - {{ toJson (merge (dict "resources" $resources) .) }}
  {{- end }}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}-functions
  namespace: {{ . }}
  labels: {{- $labels | nindent 4 }}
subjects: [{{ toJson $subject }}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}-functions}
{{- end }}
{{- with $rules.cluster }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}-cluster
  labels: {{- $labels | nindent 4 }}
rules: {{- toYaml . | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}-cluster
  labels: {{- $labels | nindent 4 }}
subjects: [{{ toJson $subject }}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }}-cluster}
{{- end }}
{{- $places := list (list $name $root.Release.Namespace $rules.own) -}}
{{- if $root.Values.registry.address -}}
{{- $places = append $places (list (printf "%s-builds" $name) $root.Values.builds.namespace $rules.builds) -}}
{{- end -}}
{{- range $places }}
{{- if index . 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ index . 0 }}
  namespace: {{ index . 1 }}
  labels: {{- $labels | nindent 4 }}
rules: {{- index . 2 | toYaml | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ index . 0 }}
  namespace: {{ index . 1 }}
  labels: {{- $labels | nindent 4 }}
subjects: [{{ toJson $subject }}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ index . 0 }}}
{{- end }}
{{- end }}
{{- end -}}


{{/* Nodes are emptied of a part's pods one by one. Call with a dict of `root` and `component`. */}}
{{- define "cloudbase.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "cloudbase.name" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "cloudbase.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "cloudbase.selector" . | nindent 6 }}
{{- end -}}

"""The controller's adapters for Kubernetes: custom resources, Kaniko builds, Deployments and Services."""

{{/*
The Deployment of one of the two services.

  root        the chart's context
  component   keyvault-svc or gateway-svc
  values      keyvault or gateway
  image       reference
  ports       list of {name, port}
  readiness   gRPC service whose health says that the pod may get traffic
  files       list of files, see _files.tpl
  checksum    of all that the pod is to start anew for
  isSingle    whether there may be one pod at a time only
  stopSeconds how long the process takes to stop, at most
*/}}
{{- define "keyturn.deployment" -}}
{{- $root := .root -}}
{{- $values := .values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "keyturn.fullname" $root }}-{{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "keyturn.labels" (dict "root" $root "component" .component) | nindent 4 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ int64 $values.replicas }}
  {{- end }}
  {{- if and $values.minReadySeconds (not .isSingle) }}
  # A pod goes when clients have had the time to look up who came for it.
  minReadySeconds: {{ int64 $values.minReadySeconds }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "keyturn.selectorLabels" (dict "root" $root "component" .component) | nindent 6 }}
  strategy:
    {{- if .isSingle }}
    # One process at a time has the file of the limits.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      # A quarter at a time: each stays for minReadySeconds before the next, and Helm waits for all.
      maxSurge: 25%
    {{- end }}
  template:
    metadata:
      labels:
        {{- include "keyturn.labels" (dict "root" $root "component" .component) | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # Other settings are read at start, so they make other pods.
        keyturn/checksum: {{ .checksum }}
        {{- if eq $root.Values.certificates.provider "spire" }}
        keyturn/checksum-of-helper: {{ include "keyturn.spiffeHelper" $root | sha256sum }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "keyturn.fullname" $root }}-{{ .component }}
      {{- include "keyturn.pod.basics" $root | nindent 6 }}
      terminationGracePeriodSeconds: {{ add (int64 $values.preStopSeconds) (int64 .stopSeconds) 15 }}
      {{- include "keyturn.pod.placement" . | nindent 6 }}
      {{- with include "keyturn.pod.certificateHelper" $root }}
      {{- . | nindent 6 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ .image }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args:
            - serve
            - --config
            - /etc/keyturn/settings/settings.toml
          ports:
            {{- range .ports }}
            - name: {{ .name }}
              containerPort: {{ int64 .port }}
            {{- end }}
          startupProbe:
            grpc:
              port: 8080
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            grpc:
              port: 8080
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            grpc:
              port: 8080
              service: {{ .readiness }}
            periodSeconds: 3
            timeoutSeconds: 2
            failureThreshold: 2
          lifecycle:
            preStop:
              # The pod leaves the Services first, everywhere; then its ports close.
              sleep:
                seconds: {{ int64 $values.preStopSeconds }}
          {{- include "keyturn.container.securityContext" $root | nindent 10 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- include "keyturn.pod.volumeMounts" .files | nindent 10 }}
      {{- include "keyturn.pod.volumes" (dict "root" $root "files" .files "hasCertificate" true) | nindent 6 }}
{{- end -}}

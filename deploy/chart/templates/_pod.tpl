{{/* What the pods of every workload have in common. */}}

{{/* Pod Security "restricted", and nothing of the cluster's that was not asked for: .Values. */}}
{{- define "keyturn.pod.basics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "keyturn.container.securityContext" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  privileged: false
  capabilities:
    drop:
      - ALL
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Which nodes take a pod, and before which others: .values (keyvault, gateway, bootstrap or jobs). */}}
{{- define "keyturn.pod.nodes" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a service's pod goes: .root, .component, .values (keyvault or gateway). */}}
{{- define "keyturn.pod.placement" -}}
{{- $selector := include "keyturn.selectorLabels" (dict "root" .root "component" .component) -}}
{{- include "keyturn.pod.nodes" . }}
topologySpreadConstraints:
  {{- if .values.topologySpreadConstraints }}
  {{- range .values.topologySpreadConstraints }}
  {{- /* Without a selector Kubernetes counts no pod, and spreads none. */}}
  {{- $own := dict "labelSelector" (dict "matchLabels" (fromYaml $selector)) }}
  - {{- toYaml (ternary . (merge $own .) (hasKey . "labelSelector")) | nindent 4 }}
  {{- end }}
  {{- else }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* The folders of a container, of a list of files. */}}
{{- define "keyturn.pod.volumeMounts" -}}
{{- if . -}}
volumeMounts:
  {{- range . }}
  - name: {{ .name }}
    mountPath: {{ .path }}
    {{- if not .isWritable }}
    readOnly: true
    {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The volumes of a pod: .root, .files; with .spire also those of the helper. */}}
{{- define "keyturn.pod.volumes" -}}
{{- if .files -}}
volumes:
  {{- range .files }}
  - name: {{ .name }}
    {{- toYaml .volume | nindent 4 }}
  {{- end }}
  {{- if and .hasCertificate (eq .root.Values.certificates.provider "spire") }}
  - name: workload-api
    csi:
      driver: {{ .root.Values.certificates.spire.csiDriver }}
      readOnly: true
  - name: spiffe-helper
    configMap:
      name: {{ include "keyturn.fullname" .root }}-spiffe-helper
      items:
        - key: helper.conf
          path: helper.conf
  {{- end }}
{{- end -}}
{{- end -}}

{{/*
With SPIRE a helper beside the service keeps the certificate's files: a sidecar that starts first,
and whose startup probe holds the service back until they are there. Nothing with other providers.
*/}}
{{- define "keyturn.pod.certificateHelper" -}}
{{- if eq .Values.certificates.provider "spire" -}}
{{- $spire := .Values.certificates.spire -}}
initContainers:
  - name: spiffe-helper
    image: {{ $spire.helper.image }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    restartPolicy: Always
    args:
      - -config
      - /etc/spiffe-helper/helper.conf
    ports:
      - name: helper-health
        containerPort: 8081
    startupProbe:
      httpGet:
        path: /ready
        port: 8081
      periodSeconds: 2
      failureThreshold: 60
    livenessProbe:
      httpGet:
        path: /live
        port: 8081
      periodSeconds: 30
      timeoutSeconds: 5
    {{- include "keyturn.container.securityContext" . | nindent 4 }}
    resources:
      {{- toYaml $spire.helper.resources | nindent 6 }}
    volumeMounts:
      - name: workload-api
        mountPath: /spiffe-workload-api
        readOnly: true
      - name: spiffe-helper
        mountPath: /etc/spiffe-helper
        readOnly: true
      - name: tls
        mountPath: /var/run/keyturn/tls
{{- end -}}
{{- end -}}

{{/*
The pod of a job: .root, .component, .account, .image, .args, .files, .values (bootstrap or jobs), .hasCertificate.
*/}}
{{- define "keyturn.pod.ofJob" -}}
metadata:
  labels:
    {{- include "keyturn.labels" (dict "root" .root "component" .component) | nindent 4 }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "keyturn.fullname" .root }}-{{ .account }}
  {{- include "keyturn.pod.basics" .root | nindent 2 }}
  {{- with include "keyturn.pod.nodes" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  restartPolicy: {{ .restartPolicy }}
  {{- if .hasCertificate }}
  {{- with include "keyturn.pod.certificateHelper" .root }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ .image }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args:
        {{- toYaml .args | nindent 8 }}
      {{- include "keyturn.container.securityContext" . | nindent 6 }}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      {{- include "keyturn.pod.volumeMounts" .files | nindent 6 }}
  {{- include "keyturn.pod.volumes" . | nindent 2 }}
{{- end -}}

{{/*
Other attempts help where Vault was away, and not where a command says that its settings are wrong
(2), or that it is done and found something (3): .component, .codes.
*/}}
{{- define "keyturn.pod.failurePolicy" -}}
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes:
        containerName: {{ .component }}
        operator: In
        values:
          {{- toYaml .codes | nindent 10 }}
{{- end -}}

{{/* Annotations of what is there while `helm test` runs: the weight. The Pod stays, for its log. */}}
{{- define "keyturn.test.hook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation{{ if ne . "0" }},hook-succeeded{{ end }}
{{- end -}}

{{/*
Annotations of what is there for the bootstrap alone: its weight, of which lower ones come first. All
of it is gone once the bootstrap has succeeded, but for the Job itself, whose log says what it did.
*/}}
{{- define "keyturn.bootstrap.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation{{ if ne . "0" }},hook-succeeded{{ end }}
{{- end -}}

{{/*
Files that a pod is given, each entry a volume and the folder where it is mounted:

  - name: vault-ca
    path: /etc/keyturn/vault-ca
    volume: {configMap: ...}

Folders, never subPath, so that kubelet replaces what changed. Private ones can be read by the pod's
group alone.
*/}}

{{/* One file of a ConfigMap or a Secret: .name, .ref {configMap | secret, key}, .file, .default (key). */}}
{{- define "keyturn.files.one" -}}
- name: {{ .name }}
  path: /etc/keyturn/{{ .name }}
  volume:
    {{- if .ref.secret }}
    secret:
      secretName: {{ .ref.secret | quote }}
      defaultMode: 0440
    {{- else }}
    configMap:
      name: {{ .ref.configMap | quote }}
    {{- end }}
      items:
        - key: {{ .ref.key | default .default | quote }}
          path: {{ .file }}
{{- end -}}

{{/* CA certificates: .name, .ref. Nothing where there are none of one's own. */}}
{{- define "keyturn.files.ca" -}}
{{- if .ref -}}
{{ include "keyturn.files.one" (dict "name" .name "ref" .ref "file" "ca.crt" "default" "ca.crt") }}
{{- end -}}
{{- end -}}

{{/* The settings file: .root, .configMap. */}}
{{- define "keyturn.files.settings" -}}
- name: settings
  path: /etc/keyturn/settings
  volume:
    configMap:
      name: {{ .configMap }}
      items:
        - key: settings.toml
          path: settings.toml
{{- end -}}

{{/* What it takes to call Vault: a token for it alone, and its CA. */}}
{{- define "keyturn.files.vault" -}}
- name: vault-token
  path: /var/run/keyturn/vault
  volume:
    projected:
      defaultMode: 0440
      sources:
        - serviceAccountToken:
            path: token
            audience: {{ .Values.vault.auth.audience | quote }}
            expirationSeconds: {{ int64 .Values.vault.auth.tokenExpirationSeconds }}
{{ include "keyturn.files.ca" (dict "name" "vault-ca" "ref" .Values.vault.ca) }}
{{- end -}}

{{/* Certificate, key and CA of a service: .root, .component. */}}
{{- define "keyturn.files.tls" -}}
{{- $root := .root -}}
{{- $values := ternary $root.Values.keyvault $root.Values.gateway (eq .component "keyvault-svc") -}}
- name: tls
  path: /var/run/keyturn/tls
  volume:
    {{- if eq $root.Values.certificates.provider "spire" }}
    emptyDir:
      medium: Memory
      sizeLimit: 1Mi
    {{- else }}
    secret:
      {{- if eq $root.Values.certificates.provider "secret" }}
      secretName: {{ $values.certificate.secretName | quote }}
      {{- else }}
      secretName: {{ include "keyturn.fullname" $root }}-{{ .component }}-tls
      {{- end }}
      defaultMode: 0440
      items:
        - key: tls.crt
          path: tls.crt
        - key: tls.key
          path: tls.key
        {{- if not $root.Values.certificates.ca }}
        - key: ca.crt
          path: ca.crt
        {{- end }}
    {{- end }}
{{ include "keyturn.files.ca" (dict "name" "tls-ca" "ref" $root.Values.certificates.ca) }}
{{- end -}}

{{- define "keyturn.files.appIssuers" -}}
{{- range $index, $issuer := .Values.appIssuers }}
{{ include "keyturn.files.ca" (dict "name" (printf "app-issuer-%d-ca" $index) "ref" $issuer.ca) }}
{{- end }}
{{- end -}}

{{/* What receivers of notifications are shown, and their CAs. */}}
{{- define "keyturn.files.notifications" -}}
{{- range $index, $webhook := .Values.notifications.webhooks }}
- name: webhook-{{ $index }}
  path: /etc/keyturn/webhook-{{ $index }}
  volume:
    projected:
      defaultMode: 0440
      sources:
        {{- range $number, $ref := $webhook.secrets }}
        - secret:
            name: {{ $ref.secret | quote }}
            items:
              - key: {{ $ref.key | quote }}
                path: secret-{{ $number }}
        {{- end }}
{{ include "keyturn.files.ca" (dict "name" (printf "webhook-%d-ca" $index) "ref" $webhook.ca) }}
{{- end }}
{{- with .Values.notifications.mail }}
{{- if .password }}
{{ include "keyturn.files.one" (dict "name" "mail-password" "ref" .password "file" "password" "default" "password") }}
{{- end }}
{{ include "keyturn.files.ca" (dict "name" "mail-ca" "ref" .ca) }}
{{- end }}
{{- end -}}

{{- define "keyturn.files.limits" -}}
{{- if .Values.limits.file.enabled }}
- name: limits
  path: /var/lib/keyturn
  isWritable: true
  volume:
    persistentVolumeClaim:
      claimName: {{ include "keyturn.fullname" . }}-keyvault-svc-limits
{{- else }}
{{- with .Values.limits.redis }}
{{- if .password }}
{{ include "keyturn.files.one" (dict "name" "limits-password" "ref" .password "file" "password" "default" "password") }}
{{- end }}
{{ include "keyturn.files.ca" (dict "name" "limits-ca" "ref" .ca) }}
{{- with .clientCertificateSecret }}
- name: limits-tls
  path: /etc/keyturn/limits-tls
  volume:
    secret:
      secretName: {{ . | quote }}
      defaultMode: 0440
      items:
        - key: tls.crt
          path: tls.crt
        - key: tls.key
          path: tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* All that `keyvault-svc serve` reads. */}}
{{- define "keyturn.keyvault.files" -}}
{{- $fullname := include "keyturn.fullname" . -}}
{{ include "keyturn.files.settings" (dict "configMap" (printf "%s-keyvault-svc" $fullname)) }}
{{ include "keyturn.files.tls" (dict "root" . "component" "keyvault-svc") }}
{{ include "keyturn.files.vault" . }}
{{ include "keyturn.files.ca" (dict "name" "people-ca" "ref" .Values.people.ca) }}
{{ include "keyturn.files.appIssuers" . }}
{{ include "keyturn.files.limits" . }}
{{ include "keyturn.files.notifications" . }}
{{- if .Values.telemetry.otlpEndpoint }}
{{ include "keyturn.files.ca" (dict "name" "otlp-ca" "ref" .Values.telemetry.ca) }}
{{- end }}
{{- range $name, $file := dict "prices" "prices.toml" "consent" "consent.txt" }}
{{- if ternary $.Values.keyvault.prices $.Values.keyvault.consent.text (eq $name "prices") }}
{{ include "keyturn.files.one" (dict "name" $name "ref" (dict "configMap" (printf "%s-keyvault-svc-%s" $fullname $name)) "file" $file "default" $file) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* All that `gateway-svc` reads, `serve` and `reconcile` alike. */}}
{{- define "keyturn.gateway.files" -}}
{{ include "keyturn.files.settings" (dict "configMap" (printf "%s-gateway-svc" (include "keyturn.fullname" .))) }}
{{ include "keyturn.files.tls" (dict "root" . "component" "gateway-svc") }}
{{ include "keyturn.files.vault" . }}
{{ include "keyturn.files.appIssuers" . }}
{{ include "keyturn.files.ca" (dict "name" "openai-ca" "ref" .Values.gateway.openai.ca) }}
{{- if .Values.telemetry.otlpEndpoint }}
{{ include "keyturn.files.ca" (dict "name" "otlp-ca" "ref" .Values.telemetry.ca) }}
{{- end }}
{{- end -}}

{{/* What `rewrap` reads. */}}
{{- define "keyturn.rewrap.files" -}}
{{ include "keyturn.files.settings" (dict "configMap" (printf "%s-maintenance" (include "keyturn.fullname" .))) }}
{{ include "keyturn.files.vault" . }}
{{- end -}}

{{/* What `remind` reads: it tells receivers, too. */}}
{{- define "keyturn.remind.files" -}}
{{ include "keyturn.rewrap.files" . }}
{{ include "keyturn.files.notifications" . }}
{{- end -}}

{{/* What `bootstrap` reads. */}}
{{- define "keyturn.bootstrap.files" -}}
{{- $fullname := include "keyturn.fullname" . -}}
{{ include "keyturn.files.settings" (dict "configMap" (printf "%s-bootstrap" $fullname)) }}
{{ include "keyturn.files.vault" . }}
- name: policies
  path: /etc/keyturn/policies
  volume:
    configMap:
      name: {{ $fullname }}-bootstrap-policies
{{- if eq .Values.vault.auth.method "jwt" }}
{{ include "keyturn.files.ca" (dict "name" "issuer-ca" "ref" .Values.vault.auth.jwt.ca) }}
{{- else if eq .Values.vault.auth.kubernetes.reviewer "self" }}
{{ include "keyturn.files.ca" (dict "name" "cluster-ca" "ref" (.Values.vault.auth.kubernetes.ca | default (dict "configMap" "kube-root-ca.crt"))) }}
{{- end }}
{{- end -}}

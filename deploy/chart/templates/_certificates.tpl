{{/* What asks for the services' certificates, and keeps them. */}}

{{/* The issuer that signs for a service, as JSON: .root, .component. */}}
{{- define "keyturn.issuerRef" -}}
{{- $root := .root -}}
{{- $values := ternary $root.Values.keyvault $root.Values.gateway (eq .component "keyvault-svc") -}}
{{- $ref := $values.certificate.issuerRef | default $root.Values.certificates.certManager.issuerRef -}}
{{- if not $ref -}}
{{- $ref = dict "name" (printf "%s-%s" (include "keyturn.fullname" $root) .component) -}}
{{- end -}}
{{- mergeOverwrite (dict "kind" "Issuer" "group" "cert-manager.io") (deepCopy $ref) | toJson -}}
{{- end -}}

{{/* Services for which the chart makes an issuer at Vault, as JSON {"components": [...]}. */}}
{{- define "keyturn.vaultIssued" -}}
{{- $components := list -}}
{{- if eq .Values.certificates.provider "certManager" -}}
{{- if not .Values.certificates.certManager.issuerRef -}}
{{- if not .Values.keyvault.certificate.issuerRef }}{{ $components = append $components "keyvault-svc" }}{{ end -}}
{{- if not .Values.gateway.certificate.issuerRef }}{{ $components = append $components "gateway-svc" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- dict "components" $components | toJson -}}
{{- end -}}

{{/*
What spiffe-helper writes, and where. The key is written before the certificate, or after: a service
takes new files when they belong together.
*/}}
{{- define "keyturn.spiffeHelper" -}}
agent_address = {{ printf "/spiffe-workload-api/%s" .Values.certificates.spire.socket | quote }}
cert_dir = "/var/run/keyturn/tls"
svid_file_name = "tls.crt"
svid_key_file_name = "tls.key"
svid_bundle_file_name = "ca.crt"
cert_file_mode = 0444
key_file_mode = 0400
daemon_mode = true
health_checks {
  listener_enabled = true
  bind_port = 8081
  liveness_path = "/live"
  readiness_path = "/ready"
}
{{- end -}}

{{/*
Seconds before its end at which a certificate that nobody replaced is alarming: half of what it has
left when it should be replaced. SPIRE's live for an hour, and are replaced at half of it.
*/}}
{{- define "keyturn.certificateAlert" -}}
{{- $certificates := .Values.certificates -}}
{{- if .Values.metrics.prometheusRule.certificateSeconds -}}
{{- int64 .Values.metrics.prometheusRule.certificateSeconds -}}
{{- else if eq $certificates.provider "certManager" -}}
{{- mul 30 (include "keyturn.checks.minutes" $certificates.certManager.renewBefore | int64) -}}
{{- else -}}
{{- ternary 900 14400 (eq $certificates.provider "spire") -}}
{{- end -}}
{{- end -}}

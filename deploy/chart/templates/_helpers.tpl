{{/* Names, labels and references that every template shares. */}}

{{- define "keyturn.name" -}}
keyturn
{{- end -}}

{{/* What all objects' names begin with. Room is left for the longest suffix, within 63 characters. */}}
{{- define "keyturn.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if gt (len $name) 36 -}}
{{- fail (printf "fullnameOverride: %q has more than 36 characters, so that names of objects would not fit. Give a shorter one." $name) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]*$" $name) -}}
{{- fail (printf "fullnameOverride: %q does not begin with a letter, or has dots, as names of Services must not. Give another one." $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Labels of an object: .root, .component. */}}
{{- define "keyturn.labels" -}}
{{ include "keyturn.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What selects the pods of one component: .root, .component. */}}
{{- define "keyturn.selectorLabels" -}}
app.kubernetes.io/name: {{ include "keyturn.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Reference of an image: .root, .name (keyvault-svc), .digest. */}}
{{- define "keyturn.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
keyturn/{{ .name }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "keyturn.keyvaultImage" -}}
{{- include "keyturn.image" (dict "root" . "name" "keyvault-svc" "digest" .Values.image.digests.keyvaultSvc) -}}
{{- end -}}

{{- define "keyturn.gatewayImage" -}}
{{- include "keyturn.image" (dict "root" . "name" "gateway-svc" "digest" .Values.image.digests.gatewaySvc) -}}
{{- end -}}

{{/* SPIFFE ID of a service of this release: .root, .component. */}}
{{- define "keyturn.spiffeId" -}}
spiffe://{{ .root.Values.trustDomain }}/{{ .component }}
{{- end -}}

{{/* Where the auth method that pods log in by is mounted in Vault. */}}
{{- define "keyturn.authMount" -}}
{{- .Values.vault.auth.mount | default (printf "keyturn-%s" .Values.vault.auth.method) -}}
{{- end -}}

{{/* Where the roles are that an administrator makes: of the bootstrap, and of the issuers. */}}
{{- define "keyturn.administratorMount" -}}
{{- .Values.vault.auth.administratorMount | default (include "keyturn.authMount" .) -}}
{{- end -}}

{{/* Names of the Service through which gateways reach the key service, and of its certificate. */}}
{{- define "keyturn.keyvaultServerName" -}}
{{ include "keyturn.fullname" . }}-keyvault-svc-gateways.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* DNS names of a service's certificate, as JSON {"names": [...]}: .root, .component. */}}
{{- define "keyturn.dnsNames" -}}
{{- $root := .root -}}
{{- $fullname := include "keyturn.fullname" $root -}}
{{- $services := ternary (list "keyvault-svc" "keyvault-svc-gateways") (list "gateway-svc" "gateway-svc-grpc") (eq .component "keyvault-svc") -}}
{{- $values := ternary $root.Values.keyvault $root.Values.gateway (eq .component "keyvault-svc") -}}
{{- if and $root.Values.gateway.tokenPort.enabled (eq .component "gateway-svc") }}{{ $services = append $services "gateway-svc-tokens" }}{{ end -}}
{{- if and $root.Values.extAuthz.enabled (eq .component "gateway-svc") }}{{ $services = append $services "gateway-svc-envoys" }}{{ end -}}
{{- $names := list -}}
{{- range $services -}}
{{- $name := printf "%s-%s.%s" $fullname . $root.Release.Namespace -}}
{{- $names = concat $names (list $name (printf "%s.svc" $name) (printf "%s.svc.%s" $name $root.Values.clusterDomain)) -}}
{{- end -}}
{{- $hosts := (include "keyturn.exposure.hosts" . | fromJson).hosts -}}
{{- dict "names" (concat $names $hosts $values.certificate.dnsNames | uniq) | toJson -}}
{{- end -}}

{{/*
Turns whole floats into integers, in place: values pass through JSON, which knows one kind of number,
and a settings file that says 8.0 reads badly.
*/}}
{{- define "keyturn.integers" -}}
{{- $table := . -}}
{{- range $key, $value := $table -}}
{{- if kindIs "float64" $value -}}
{{- if eq (floor $value) $value -}}
{{- $_ := set $table $key (int64 $value) -}}
{{- end -}}
{{- else if kindIs "map" $value -}}
{{- include "keyturn.integers" $value -}}
{{- else if kindIs "slice" $value -}}
{{- range $value -}}
{{- if kindIs "map" . -}}
{{- include "keyturn.integers" . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A settings file of the settings in JSON. */}}
{{- define "keyturn.toml" -}}
{{- $settings := fromJson . -}}
{{- include "keyturn.integers" $settings -}}
{{- $text := toToml $settings -}}
{{- /* toToml says what went wrong in place of the file. */ -}}
{{- if not (contains "=" $text) -}}
{{- fail (printf "the settings cannot be written as TOML: %s" $text) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* Whether owners are reminded: somebody must be there to tell them. Empty is no. */}}
{{- define "keyturn.isReminding" -}}
{{- $notifications := dig "notifications" dict (include "keyturn.keyvault.settings" . | fromJson) -}}
{{- if and .Values.jobs.remind.enabled (or $notifications.webhooks $notifications.mail) }}true{{ end -}}
{{- end -}}

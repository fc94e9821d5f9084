{{/*
The ways in from outside the cluster, one for each port that people and apps call. TLS ends in the
service on each of them: a proxy that took it off would see keys on their way in and tokens, and
nobody behind it could tell callers apart by their certificates.

JSON: {"doors": [{name, value, component, service, port, target, says}]}, those with a host only.
*/}}
{{- define "keyturn.exposure.doors" -}}
{{- $fullname := include "keyturn.fullname" . -}}
{{- $all := list
  (dict "name" "owners" "component" "keyvault-svc" "service" (printf "%s-keyvault-svc" $fullname) "port" 443 "target" "owners")
  (dict "name" "http" "component" "gateway-svc" "service" (printf "%s-gateway-svc" $fullname) "port" 443 "target" "https")
  (dict "name" "grpc" "component" "gateway-svc" "service" (printf "%s-gateway-svc-grpc" $fullname) "port" 8443 "target" "grpc")
-}}
{{- $doors := list -}}
{{- range $all -}}
{{- $value := index $.Values.exposure .name -}}
{{- $ways := dict "ingress" $value.ingress.enabled "gatewayApi" $value.gatewayApi.enabled "loadBalancer" $value.loadBalancer.enabled -}}
{{- $name := .name -}}
{{- range $way, $enabled := $ways -}}
{{- if and $enabled (not $value.host) -}}
{{- fail (printf "exposure.%s.%s needs exposure.%s.host: the name that callers use, which the certificate must have." $name $way $name) -}}
{{- end -}}
{{- end -}}
{{- if $value.host -}}
{{- $doors = append $doors (merge (dict "value" $value) .) -}}
{{- end -}}
{{- end -}}
{{- dict "doors" $doors | toJson -}}
{{- end -}}

{{/* Names that the certificate of .component needs beside those of its Services: {"hosts": [...]}. */}}
{{- define "keyturn.exposure.hosts" -}}
{{- $hosts := list -}}
{{- $component := .component -}}
{{- range (include "keyturn.exposure.doors" .root | fromJson).doors -}}
{{- if eq .component $component -}}
{{- $hosts = append $hosts .value.host -}}
{{- end -}}
{{- end -}}
{{- dict "hosts" ($hosts | uniq) | toJson -}}
{{- end -}}

{{/*
The settings of the services and of the jobs, as JSON, of the values; `keyvault.settings` and
`gateway.settings` have the last word.
*/}}

{{/* A login at Vault, as one of the tables that every identity has: .root, .role, .mount where it is another. */}}
{{- define "keyturn.login" -}}
{{- $login := dict "mount" (.mount | default (include "keyturn.authMount" .root)) "role" .role "token_file" "/var/run/keyturn/vault/token" -}}
{{- dict .root.Values.vault.auth.method $login | toJson -}}
{{- end -}}

{{/* The table `vault`: .root, .role. */}}
{{- define "keyturn.settings.vault" -}}
{{- $vault := .root.Values.vault -}}
{{- $table := include "keyturn.login" . | fromJson -}}
{{- $_ := set $table "address" $vault.address -}}
{{- with $vault.standbyAddresses }}{{ $_ := set $table "standby_addresses" . }}{{ end -}}
{{- with $vault.namespace }}{{ $_ := set $table "namespace" . }}{{ end -}}
{{- if $vault.ca }}{{ $_ := set $table "ca_file" "/etc/keyturn/vault-ca/ca.crt" }}{{ end -}}
{{- $table | toJson -}}
{{- end -}}

{{- define "keyturn.settings.tls" -}}
{{- $ca := ternary "/etc/keyturn/tls-ca/ca.crt" "/var/run/keyturn/tls/ca.crt" (not (empty .Values.certificates.ca)) -}}
{{- dict "certificate" "/var/run/keyturn/tls/tls.crt" "key" "/var/run/keyturn/tls/tls.key" "ca" $ca | toJson -}}
{{- end -}}

{{/* The list `app_issuers`, as {"issuers": [...]}. */}}
{{- define "keyturn.settings.appIssuers" -}}
{{- $issuers := list -}}
{{- range $index, $issuer := .Values.appIssuers -}}
{{- $entry := omit $issuer "ca" -}}
{{- if $issuer.ca }}{{ $_ := set $entry "ca_file" (printf "/etc/keyturn/app-issuer-%d-ca/ca.crt" $index) }}{{ end -}}
{{- $issuers = append $issuers $entry -}}
{{- end -}}
{{- dict "issuers" $issuers | toJson -}}
{{- end -}}

{{- define "keyturn.settings.telemetry" -}}
{{- $table := dict -}}
{{- with .Values.telemetry -}}
{{- if .otlpEndpoint -}}
{{- $_ := set $table "otlp_endpoint" .otlpEndpoint -}}
{{- $_ := set $table "trace_ratio" .traceRatio -}}
{{- if .ca }}{{ $_ := set $table "otlp_ca_file" "/etc/keyturn/otlp-ca/ca.crt" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if .Values.metrics.enabled }}{{ $_ := set $table "metrics_address" (printf "%s:9090" .Values.listenHost) }}{{ end -}}
{{- $table | toJson -}}
{{- end -}}

{{- define "keyturn.settings.limits" -}}
{{- $table := dict -}}
{{- if .Values.limits.file.enabled -}}
{{- $_ := set $table "file" "/var/lib/keyturn/limits.db" -}}
{{- else -}}
{{- with .Values.limits.redis -}}
{{- $redis := dict "addresses" .addresses "kind" .kind -}}
{{- with .primaryName }}{{ $_ := set $redis "primary_name" . }}{{ end -}}
{{- with .username }}{{ $_ := set $redis "username" . }}{{ end -}}
{{- if .password }}{{ $_ := set $redis "password_file" "/etc/keyturn/limits-password/password" }}{{ end -}}
{{- if .ca }}{{ $_ := set $redis "ca_file" "/etc/keyturn/limits-ca/ca.crt" }}{{ end -}}
{{- if .clientCertificateSecret -}}
{{- $_ := set $redis "certificate_file" "/etc/keyturn/limits-tls/tls.crt" -}}
{{- $_ := set $redis "key_file" "/etc/keyturn/limits-tls/tls.key" -}}
{{- end -}}
{{- $_ := set $table "redis" $redis -}}
{{- end -}}
{{- end -}}
{{- $table | toJson -}}
{{- end -}}

{{- define "keyturn.settings.notifications" -}}
{{- $table := dict -}}
{{- $webhooks := list -}}
{{- range $index, $webhook := .Values.notifications.webhooks -}}
{{- $files := list -}}
{{- range $number, $_ := $webhook.secrets -}}
{{- $files = append $files (printf "/etc/keyturn/webhook-%d/secret-%d" $index $number) -}}
{{- end -}}
{{- $entry := dict "url" $webhook.url "secret_files" $files -}}
{{- with $webhook.events }}{{ $_ := set $entry "events" . }}{{ end -}}
{{- with $webhook.owners }}{{ $_ := set $entry "owners" . }}{{ end -}}
{{- with $webhook.timeoutSeconds }}{{ $_ := set $entry "timeout_seconds" . }}{{ end -}}
{{- if $webhook.ca }}{{ $_ := set $entry "ca_file" (printf "/etc/keyturn/webhook-%d-ca/ca.crt" $index) }}{{ end -}}
{{- $webhooks = append $webhooks $entry -}}
{{- end -}}
{{- with $webhooks }}{{ $_ := set $table "webhooks" . }}{{ end -}}
{{- with .Values.notifications.mail -}}
{{- $mail := omit . "password" "ca" "timeoutSeconds" -}}
{{- with .timeoutSeconds }}{{ $_ := set $mail "timeout_seconds" . }}{{ end -}}
{{- if .password }}{{ $_ := set $mail "password_file" "/etc/keyturn/mail-password/password" }}{{ end -}}
{{- if .ca }}{{ $_ := set $mail "ca_file" "/etc/keyturn/mail-ca/ca.crt" }}{{ end -}}
{{- $_ := set $table "mail" $mail -}}
{{- end -}}
{{- $table | toJson -}}
{{- end -}}

{{- define "keyturn.settings.people" -}}
{{- with .Values.people -}}
{{- $table := dict "issuer" .issuer "audience" .audience "jwks_url" .jwksUrl "name_claim" .nameClaim "groups_claim" .groupsClaim -}}
{{- with .operatorGroups }}{{ $_ := set $table "operator_groups" . }}{{ end -}}
{{- with .auditorGroups }}{{ $_ := set $table "auditor_groups" . }}{{ end -}}
{{- if .ca }}{{ $_ := set $table "ca_file" "/etc/keyturn/people-ca/ca.crt" }}{{ end -}}
{{- $table | toJson -}}
{{- end -}}
{{- end -}}

{{/* The settings file of `keyvault-svc serve`. */}}
{{- define "keyturn.keyvault.settings" -}}
{{- $values := .Values.keyvault -}}
{{- $gateway := include "keyturn.spiffeId" (dict "root" . "component" "gateway-svc") -}}
{{- $settings := dict
  "owner_address" (printf "%s:8443" .Values.listenHost)
  "gateway_address" (printf "%s:8444" .Values.listenHost)
  "health_address" (printf "%s:8080" .Values.listenHost)
  "gateways" (prepend $values.extraGateways $gateway | uniq)
  "drain_seconds" $values.drainSeconds
  "tls" (include "keyturn.settings.tls" . | fromJson)
  "vault" (include "keyturn.settings.vault" (dict "root" . "role" .Values.vault.auth.roles.keyvault) | fromJson)
  "people" (include "keyturn.settings.people" . | fromJson)
  "limits" (include "keyturn.settings.limits" . | fromJson)
-}}
{{- if eq .Values.certificates.provider "spire" }}{{ $_ := set $settings "certificate_wait_seconds" 60 }}{{ end -}}
{{- with (include "keyturn.settings.appIssuers" . | fromJson).issuers }}{{ $_ := set $settings "app_issuers" . }}{{ end -}}
{{- with (include "keyturn.settings.telemetry" . | fromJson) }}{{ $_ := set $settings "telemetry" . }}{{ end -}}
{{- with (include "keyturn.settings.notifications" . | fromJson) }}{{ $_ := set $settings "notifications" . }}{{ end -}}
{{- if $values.prices }}{{ $_ := set $settings "prices_file" "/etc/keyturn/prices/prices.toml" }}{{ end -}}
{{- $consent := dict -}}
{{- if $values.consent.text }}{{ $_ := set $consent "text_file" "/etc/keyturn/consent/consent.txt" }}{{ end -}}
{{- with $values.consent.version }}{{ $_ := set $consent "version" . }}{{ end -}}
{{- with $consent }}{{ $_ := set $settings "consent" . }}{{ end -}}
{{- mergeOverwrite $settings (deepCopy $values.settings) | toJson -}}
{{- end -}}

{{/*
The settings file of the key service's jobs. It leaves out what names files that a job has no
business with; `serve` alone reads them.
*/}}
{{- define "keyturn.keyvault.jobSettings" -}}
{{- $settings := include "keyturn.keyvault.settings" . | fromJson -}}
{{- $settings := omit $settings "app_issuers" "telemetry" "notifications" "prices_file" "consent" -}}
{{- $_ := set $settings "people" (omit $settings.people "ca_file") -}}
{{- $limits := $settings.limits -}}
{{- if $limits.redis -}}
{{- $limits = set $limits "redis" (omit $limits.redis "username" "password_file" "ca_file" "certificate_file" "key_file") -}}
{{- end -}}
{{- $settings | toJson -}}
{{- end -}}

{{/* The settings file of `rewrap` and `remind`, which log in as themselves. */}}
{{- define "keyturn.maintenance.settings" -}}
{{- $settings := include "keyturn.keyvault.jobSettings" . | fromJson -}}
{{- $_ := set $settings "maintenance" (include "keyturn.login" (dict "root" . "role" .Values.vault.auth.roles.maintenance) | fromJson) -}}
{{- with (include "keyturn.keyvault.settings" . | fromJson).notifications }}{{ $_ := set $settings "notifications" . }}{{ end -}}
{{- $settings | toJson -}}
{{- end -}}

{{/* The settings file of `bootstrap`, and what it sets up. */}}
{{- define "keyturn.bootstrap.settings" -}}
{{- $values := .Values.bootstrap -}}
{{- $auth := .Values.vault.auth -}}
{{- $fullname := include "keyturn.fullname" . -}}
{{- $accounts := dict -}}
{{- $subjects := dict -}}
{{- range $login, $account := dict "keyvault-svc" "keyvault-svc" "gateway-svc" "gateway-svc" "keyvault-maintenance" "maintenance" -}}
{{- $_ := set $accounts $login (printf "%s/%s-%s" $.Release.Namespace $fullname $account) -}}
{{- $_ := set $subjects $login (printf "system:serviceaccount:%s:%s-%s" $.Release.Namespace $fullname $account) -}}
{{- end -}}
{{- $table := dict
  "policy_dir" "/etc/keyturn/policies"
  "trust_domain" .Values.trustDomain
  "certificate_ttl_seconds" $values.certificateTtlSeconds
  "login" $auth.method
-}}
{{- $names := dict -}}
{{- range list "keyvault-svc" "gateway-svc" -}}
{{- $_ := set $names . (include "keyturn.dnsNames" (dict "root" $ "component" .) | fromJson).names -}}
{{- end -}}
{{- $_ := set $table "dns_names" $names -}}
{{- with $values.auditFile }}{{ $_ := set $table "audit_file" . }}{{ end -}}
{{- with $values.issuer }}{{ $_ := set $table "issuer" . }}{{ end -}}
{{- if eq $auth.method "kubernetes" -}}
{{- $isVault := eq $auth.kubernetes.reviewer "vault" -}}
{{- $kubernetes := dict "host" $auth.kubernetes.host "audience" $auth.audience "service_accounts" $accounts "is_reviewed_by_vault" $isVault -}}
{{- if not $isVault }}{{ $_ := set $kubernetes "ca_file" "/etc/keyturn/cluster-ca/ca.crt" }}{{ end -}}
{{- $_ := set $table "kubernetes" $kubernetes -}}
{{- else -}}
{{- $jwt := dict "audiences" (list $auth.audience) "subjects" $subjects "discovery_url" $auth.jwt.discoveryUrl -}}
{{- if $auth.jwt.ca }}{{ $_ := set $jwt "ca_file" "/etc/keyturn/issuer-ca/ca.crt" }}{{ end -}}
{{- $_ := set $table "jwt" $jwt -}}
{{- end -}}
{{- $settings := include "keyturn.keyvault.jobSettings" . | fromJson -}}
{{- $_ := set $settings "bootstrap" $table -}}
{{- $_ := set $settings "bootstrap_login" (include "keyturn.login" (dict "root" . "role" $auth.roles.bootstrap "mount" (include "keyturn.administratorMount" .)) | fromJson) -}}
{{- $settings | toJson -}}
{{- end -}}

{{- define "keyturn.settings.extAuthz" -}}
{{- with .Values.extAuthz -}}
{{- dict
  "address" (printf "%s:9443" $.Values.listenHost)
  "envoys" .envoys
  "upstream_base_url" (.upstreamBaseUrl | default $.Values.gateway.openai.baseUrl)
  "key_header" .keyHeader
  "takes_text_bodies" .takesTextBodies
| toJson -}}
{{- end -}}
{{- end -}}

{{/* The settings file of the gateway, and of `reconcile`. */}}
{{- define "keyturn.gateway.settings" -}}
{{- $values := .Values.gateway -}}
{{- $openai := dict "base_url" $values.openai.baseUrl "other_base_urls" $values.openai.otherBaseUrls -}}
{{- if $values.openai.ca }}{{ $_ := set $openai "ca_file" "/etc/keyturn/openai-ca/ca.crt" }}{{ end -}}
{{- $server := include "keyturn.keyvaultServerName" . -}}
{{- $settings := dict
  "grpc_address" (printf "%s:8443" .Values.listenHost)
  "http_address" (printf "%s:8444" .Values.listenHost)
  "health_address" (printf "%s:8080" .Values.listenHost)
  "app_id_prefix" ($values.appIdPrefix | default (printf "spiffe://%s/app/" .Values.trustDomain))
  "drain_seconds" $values.drainSeconds
  "tls" (include "keyturn.settings.tls" . | fromJson)
  "vault" (include "keyturn.settings.vault" (dict "root" . "role" .Values.vault.auth.roles.gateway) | fromJson)
  "key_service" (dict "target" (printf "dns:///%s.%s:8444" $server .Values.clusterDomain) "server_name" $server)
  "openai" $openai
-}}
{{- if eq .Values.certificates.provider "spire" }}{{ $_ := set $settings "certificate_wait_seconds" 60 }}{{ end -}}
{{- with (include "keyturn.settings.appIssuers" . | fromJson).issuers }}{{ $_ := set $settings "app_issuers" . }}{{ end -}}
{{- with (include "keyturn.settings.telemetry" . | fromJson) }}{{ $_ := set $settings "telemetry" . }}{{ end -}}
{{- with $values.defaultKeys }}{{ $_ := set $settings "default_keys" . }}{{ end -}}
{{- if $values.tokenPort.enabled }}{{ $_ := set $settings "grpc_token_address" (printf "%s:8445" .Values.listenHost) }}{{ end -}}
{{- if .Values.extAuthz.enabled }}{{ $_ := set $settings "ext_authz" (include "keyturn.settings.extAuthz" . | fromJson) }}{{ end -}}
{{- mergeOverwrite $settings (deepCopy $values.settings) | toJson -}}
{{- end -}}

{{/* What values.schema.json cannot say of values that do not go together. */}}

{{/* Settings that only the chart may make: .settings, .value, .own (names, with dots). */}}
{{- define "keyturn.checks.own" -}}
{{- $settings := .settings -}}
{{- $value := .value -}}
{{- range $name := .own -}}
{{- $path := splitList "." $name -}}
{{- $table := $settings -}}
{{- range $part := initial $path }}{{ $table = get $table $part | default dict }}{{ end -}}
{{- if hasKey $table (last $path) -}}
{{- fail (printf "%s.%s: the chart makes this setting, since ports, mounts and identities follow from it. Take it out." $value $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Settings that name files, which the chart would have to mount: .table, .at. */}}
{{- define "keyturn.checks.files" -}}
{{- $at := .at -}}
{{- range $key, $value := .table -}}
{{- if or (hasSuffix "_file" $key) (hasSuffix "_files" $key) -}}
{{- fail (printf "%s.%s names a file, and no file would be there. Give what is in it by a value of the chart: ca, password, secrets, consent.text or prices." $at $key) -}}
{{- else if kindIs "map" $value -}}
{{- include "keyturn.checks.files" (dict "table" $value "at" (printf "%s.%s" $at $key)) -}}
{{- else if kindIs "slice" $value -}}
{{- range $value -}}
{{- if kindIs "map" . }}{{ include "keyturn.checks.files" (dict "table" . "at" (printf "%s.%s[]" $at $key)) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Minutes of a duration such as 24h, 1h30m or 45m. */}}
{{- define "keyturn.checks.minutes" -}}
{{- $hours := regexFind "[0-9]+h" . | trimSuffix "h" | default "0" | atoi -}}
{{- $minutes := regexFind "[0-9]+m" . | trimSuffix "m" | default "0" | atoi -}}
{{- add (mul 60 $hours) $minutes -}}
{{- end -}}

{{- define "keyturn.checks.settings" -}}
{{- $logins := list "vault.approle" "vault.kubernetes" "vault.certificate" "vault.jwt" "vault.token" -}}
{{- $own := concat (list "health_address" "tls" "audit_stream" "telemetry.metrics_address") $logins -}}
{{- $keyvault := list "owner_address" "gateway_address" "gateways" "maintenance" "bootstrap" "bootstrap_login" "limits.file" "limits.redis.addresses" "limits.redis.kind" "limits.redis.primary_name" "limits.redis.username" -}}
{{- include "keyturn.checks.own" (dict "settings" .Values.keyvault.settings "value" "keyvault.settings" "own" (concat $own $keyvault)) -}}
{{- include "keyturn.checks.own" (dict "settings" .Values.gateway.settings "value" "gateway.settings" "own" (concat $own (list "grpc_address" "grpc_token_address" "http_address" "key_service" "ext_authz"))) -}}
{{- include "keyturn.checks.files" (dict "table" .Values.keyvault.settings "at" "keyvault.settings") -}}
{{- include "keyturn.checks.files" (dict "table" .Values.gateway.settings "at" "gateway.settings") -}}
{{- range .Values.appIssuers -}}
{{- include "keyturn.checks.files" (dict "table" . "at" "appIssuers[]") -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checks.limits" -}}
{{- $file := .Values.limits.file.enabled -}}
{{- if and (not $file) (not .Values.limits.redis.addresses) -}}
{{- fail "limits: give limits.redis.addresses, a Redis or Valkey that all replicas share; or, for one replica, set limits.file.enabled and keyvault.replicas=1." -}}
{{- end -}}
{{- if and $file .Values.limits.redis.addresses -}}
{{- fail "limits: limits.redis.addresses and limits.file.enabled exclude each other. Take one out." -}}
{{- end -}}
{{- if and $file (or .Values.keyvault.autoscaling.enabled (ne (int64 .Values.keyvault.replicas) 1)) -}}
{{- fail "limits.file is for one replica of the key service: set keyvault.replicas=1 and keyvault.autoscaling.enabled=false, or give limits.redis.addresses." -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checks.certificates" -}}
{{- $certificates := .Values.certificates -}}
{{- if eq $certificates.provider "spire" -}}
{{- if not $certificates.spire.helper.image -}}
{{- fail "certificates.spire.helper.image: name an image of spiffe-helper, which writes the certificate's files." -}}
{{- end -}}
{{- else if eq $certificates.provider "secret" -}}
{{- range $name, $service := dict "keyvault" .Values.keyvault "gateway" .Values.gateway -}}
{{- if not $service.certificate.secretName -}}
{{- fail (printf "%s.certificate.secretName: with certificates.provider=secret name the Secret with tls.crt, tls.key and ca.crt." $name) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $duration := include "keyturn.checks.minutes" $certificates.certManager.duration | int -}}
{{- if ge (include "keyturn.checks.minutes" $certificates.certManager.renewBefore | int) $duration -}}
{{- fail "certificates.certManager.renewBefore must be less than duration, or certificates would be renewed without end." -}}
{{- end -}}
{{- if (include "keyturn.vaultIssued" . | fromJson).components -}}
{{- if .Values.vault.ca.configMap -}}
{{- fail "vault.ca: with issuers of the chart's own the CA must be in a Secret, since cert-manager reads it from no ConfigMap. Give vault.ca.secret, or certificates.certManager.issuerRef." -}}
{{- end -}}
{{- if and .Values.bootstrap.enabled (gt (mul 60 $duration) (int64 .Values.bootstrap.certificateTtlSeconds)) -}}
{{- fail "certificates.certManager.duration is longer than bootstrap.certificateTtlSeconds lets Vault sign for. Raise the one, or lower the other." -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checks.logins" -}}
{{- $auth := .Values.vault.auth -}}
{{- if and (eq $auth.method "kubernetes") (eq $auth.kubernetes.reviewer "self") (eq $auth.audience "vault") -}}
{{- fail "vault.auth.audience: with vault.auth.kubernetes.reviewer=self each token is shown to the API server, which takes those alone that are meant for it. Give its own audience, such as https://kubernetes.default.svc.cluster.local; docs/kubernetes.md shows how to find it." -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checks.bootstrap" -}}
{{- $auth := .Values.vault.auth -}}
{{- if .Values.bootstrap.enabled -}}
{{- if .Values.vault.namespace -}}
{{- fail "bootstrap cannot set up audit in a namespace of Vault, which the root namespace alone has. Set Vault up as docs/kubernetes.md shows, and set bootstrap.enabled=false." -}}
{{- end -}}
{{- range $value, $name := dict "keyvault" "keyvault-svc" "gateway" "gateway-svc" "maintenance" "keyvault-maintenance" -}}
{{- if ne (get $auth.roles $value) $name -}}
{{- fail (printf "vault.auth.roles.%s: bootstrap makes the role %s. Take the value out, or set bootstrap.enabled=false and make the roles yourself." $value $name) -}}
{{- end -}}
{{- end -}}
{{- if ne (include "keyturn.authMount" .) (printf "keyturn-%s" $auth.method) -}}
{{- fail (printf "vault.auth.mount: bootstrap makes its roles at keyturn-%s. Take the value out, or set bootstrap.enabled=false and make the roles yourself." $auth.method) -}}
{{- end -}}
{{- if and (eq $auth.method "jwt") (not $auth.jwt.discoveryUrl) -}}
{{- fail "vault.auth.jwt.discoveryUrl: with vault.auth.method=jwt bootstrap needs the cluster's issuer of tokens, as Vault reaches it." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checks.extAuthz" -}}
{{- with .Values.extAuthz -}}
{{- if .enabled -}}
{{- if not .envoys -}}
{{- fail "extAuthz.envoys: name the SPIFFE IDs of the Envoys that may be handed keys." -}}
{{- end -}}
{{- if and $.Values.networkPolicy.enabled (not .peers) -}}
{{- fail "extAuthz.peers: name the Envoys' pods. Nobody else may reach a port that hands keys out." -}}
{{- end -}}
{{- $openai := $.Values.gateway.openai -}}
{{- if and .upstreamBaseUrl (not (has .upstreamBaseUrl (prepend $openai.otherBaseUrls $openai.baseUrl))) -}}
{{- fail "extAuthz.upstreamBaseUrl must be gateway.openai.baseUrl, or one of gateway.openai.otherBaseUrls." -}}
{{- end -}}
{{- $prefix := $.Values.gateway.appIdPrefix | default (printf "spiffe://%s/app/" $.Values.trustDomain) -}}
{{- range .envoys -}}
{{- if hasPrefix $prefix . -}}
{{- fail (printf "extAuthz.envoys: %s is an app's, and an app must not be handed keys." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checks.tokenPort" -}}
{{- if and .Values.gateway.tokenPort.enabled (not (dig "app_issuers" list (include "keyturn.gateway.settings" . | fromJson))) -}}
{{- fail "gateway.tokenPort.enabled needs appIssuers: nobody makes tokens by which apps could call there." -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.checks" -}}
{{- include "keyturn.checks.extAuthz" . -}}
{{- include "keyturn.checks.tokenPort" . -}}
{{- include "keyturn.checks.logins" . -}}
{{- include "keyturn.checks.bootstrap" . -}}
{{- include "keyturn.checks.settings" . -}}
{{- include "keyturn.checks.limits" . -}}
{{- include "keyturn.checks.certificates" . -}}
{{- range $name, $service := dict "keyvault" .Values.keyvault "gateway" .Values.gateway -}}
{{- if and $service.autoscaling.enabled (gt (int64 $service.autoscaling.minReplicas) (int64 $service.autoscaling.maxReplicas)) -}}
{{- fail (printf "%s.autoscaling: minReplicas must not be more than maxReplicas." $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.jobs.reconcile.enabled (not (dig "reconciliation" "admin_key" "" .Values.keyvault.settings)) -}}
{{- fail "jobs.reconcile: name the admin key that asks OpenAI for usage in keyvault.settings.reconciliation.admin_key, or leave the job off." -}}
{{- end -}}
{{- if .Values.notifications.mail -}}
{{- if ne (empty .Values.notifications.mail.username) (empty .Values.notifications.mail.password) -}}
{{- fail "notifications.mail: give username and password together, or neither." -}}
{{- end -}}
{{- end -}}
{{- end -}}

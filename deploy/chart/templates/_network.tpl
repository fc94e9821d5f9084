{{/*
What the network policies are made of. A rule is {peers: [NetworkPolicyPeer], ports: [number]}; a
template that yields rules yields JSON, {"rules": [...]}, because a template can return only text.
*/}}

{{/* The pods of one component, or of the whole release where .component is empty. */}}
{{- define "keyturn.network.podSelector" -}}
{{- if .component -}}
matchLabels:
  {{- include "keyturn.selectorLabels" (dict "root" .root "component" .component) | nindent 2 }}
{{- else -}}
matchLabels:
  app.kubernetes.io/name: {{ include "keyturn.name" .root }}
  app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end -}}
{{- end -}}

{{/*
One network policy: one end of one arrow.

  root       the chart's context
  arrow      <from>-<to>, the label `keyturn/arrow`
  says       what the arrow is for, as an annotation
  component  whose pods it selects; empty for all of the release
  direction  ingress or egress
  rules      what it lets pass
*/}}
{{- define "keyturn.network.policy" -}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "keyturn.fullname" .root }}-{{ .arrow }}-{{ .direction }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "keyturn.labels" (dict "root" .root "component" (.component | default "network")) | nindent 4 }}
    keyturn/arrow: {{ .arrow }}
  annotations:
    keyturn/says: {{ .says | quote }}
    {{- with include "keyturn.network.publicHosts" . }}
    keyturn/public-hosts: {{ . | quote }}
    {{- end }}
    {{- if hasPrefix "bootstrap-" .arrow }}
    {{- include "keyturn.bootstrap.hook" "-5" | nindent 4 }}
    {{- else if hasPrefix "test-" .arrow }}
    {{- include "keyturn.test.hook" "-5" | nindent 4 }}
    {{- end }}
spec:
  podSelector:
    {{- include "keyturn.network.podSelector" . | nindent 4 }}
  policyTypes:
    - {{ title .direction }}
  {{ .direction }}:
    {{- range .rules }}
    - {{ ternary "from" "to" (eq $.direction "ingress") }}:
        {{- toYaml .peers | nindent 8 }}
      ports:
        {{- range .ports }}
        - protocol: TCP
          port: {{ int . }}
        {{- end }}
        {{- range .udpPorts }}
        - protocol: UDP
          port: {{ int . }}
        {{- end }}
    {{- end }}
{{- end -}}

{{/*
Which of the values' public hosts the rules let through, so that a review finds each where it is used:
.root, .rules.
*/}}
{{- define "keyturn.network.publicHosts" -}}
{{- $hosts := list -}}
{{- range .rules -}}
{{- range .peers -}}
{{- if has (dig "ipBlock" "cidr" "" .) $.root.Values.networkPolicy.publicHosts -}}
{{- $hosts = append $hosts .ipBlock.cidr -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join " " (uniq $hosts) -}}
{{- end -}}

{{/* Both ends of an arrow between two components: .from may go out to .to, and .to lets it in. */}}
{{- define "keyturn.network.inside" -}}
{{- $to := dict "podSelector" (include "keyturn.network.podSelector" (dict "root" .root "component" .to) | fromYaml) -}}
{{- $from := dict "podSelector" (include "keyturn.network.podSelector" (dict "root" .root "component" .from) | fromYaml) -}}
{{- $out := list (dict "peers" (list $to) "ports" (list .port)) -}}
{{- $in := list (dict "peers" (list $from) "ports" (list .port)) -}}
{{- include "keyturn.network.policy" (dict "root" .root "arrow" .arrow "says" .says "component" .from "direction" "egress" "rules" $out) }}
{{ include "keyturn.network.policy" (dict "root" .root "arrow" .arrow "says" .says "component" .to "direction" "ingress" "rules" $in) }}
{{- end -}}

{{/*
The rule that lets somebody reach one address of the settings, read from the address itself: the
namespace of a Service's name, or one host's number. What cannot be read so must be said in
.value, a setting below networkPolicy.

  address  URL, or host:port
  setting  name of the address among the values, for the message
  value    name of the value that says it otherwise, for the message
  port     where the address has none
*/}}
{{- define "keyturn.network.ruleOf" -}}
{{- $place := regexReplaceAll "^[a-z]+://" .address "" | regexFind "^[^/?#]+" -}}
{{- $port := regexFind ":[0-9]+$" $place | trimPrefix ":" | default (.port | toString) | int -}}
{{- $host := regexReplaceAll ":[0-9]+$" $place "" | trimPrefix "[" | trimSuffix "]" | trimSuffix "." -}}
{{- $peer := dict -}}
{{- if or (eq $host "kubernetes.default.svc") (hasPrefix "kubernetes.default.svc." $host) -}}
{{- /* The API server runs in no pod that a selector finds. */ -}}
{{- else if regexMatch "^[0-9]+(\\.[0-9]+){3}$" $host -}}
{{- $_ := set $peer "ipBlock" (dict "cidr" (printf "%s/32" $host)) -}}
{{- else if contains ":" $host -}}
{{- $_ := set $peer "ipBlock" (dict "cidr" (printf "%s/128" $host)) -}}
{{- else if regexMatch "^([a-z0-9-]+\\.)+[a-z0-9-]+\\.svc(\\.[a-z0-9.-]+)?$" $host -}}
{{- $namespace := regexReplaceAll "^(?:[a-z0-9-]+\\.)+?([a-z0-9-]+)\\.svc(?:\\.[a-z0-9.-]+)?$" $host "${1}" -}}
{{- $_ := set $peer "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace)) -}}
{{- else if regexMatch "^[a-z0-9-]+$" $host -}}
{{- $_ := set $peer "podSelector" dict -}}
{{- end -}}
{{- if not $peer -}}
{{- fail (printf "networkPolicy.%s must say where %s (%s) is: its name tells neither a namespace of the cluster nor an address. Give peers and ports there, as docs/network.md shows." .value .setting $host) -}}
{{- end -}}
{{- dict "peers" (list $peer) "ports" (list $port) | toJson -}}
{{- end -}}

{{/*
The rules for several addresses: those of the values where there are any, else read from the
addresses, each once.

  root, value  networkPolicy.<value> wins
  addresses    list of {address, setting, port}
*/}}
{{- define "keyturn.network.rulesOf" -}}
{{- $rules := index .root.Values.networkPolicy .value -}}
{{- $value := .value -}}
{{- if not $rules -}}
{{- $rules = list -}}
{{- range .addresses -}}
{{- $rule := include "keyturn.network.ruleOf" (merge (dict "value" $value) .) | fromJson -}}
{{- if not (has $rule $rules) -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "rules" $rules | toJson -}}
{{- end -}}

{{/*
Refuse what is not inside. The key service and all that logs in to Vault with more than a decrypt
reach selected pods, private networks, and the public hosts that were said to be one's own, never the
internet and never a cloud's metadata service.

  root        the chart's context
  rules       what is to be let through
  value       where they are said, for the message
  mayBeLocal  whether single link-local hosts are fine, such as a DNS cache on each node
*/}}
{{- define "keyturn.network.refuseOutside" -}}
{{- $private := list
  "^10\\.[0-9.]+/([89]|[12][0-9]|3[0-2])$"
  "^172\\.(1[6-9]|2[0-9]|3[01])\\.[0-9.]+/(1[2-9]|2[0-9]|3[0-2])$"
  "^192\\.168\\.[0-9.]+/(1[6-9]|2[0-9]|3[0-2])$"
  "^100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.[0-9.]+/(1[0-9]|2[0-9]|3[0-2])$"
  "^[fF][cCdD][0-9a-fA-F]{2}:[0-9a-fA-F:]*/([7-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$"
-}}
{{- if .mayBeLocal }}{{ $private = append $private "^169\\.254\\.[0-9.]+/32$" }}{{ end -}}
{{- $hosts := .root.Values.networkPolicy.publicHosts -}}
{{- $local := ternary "^never$" (include "keyturn.network.local" .) (.mayBeLocal | default false) -}}
{{- $value := .value -}}
{{- range .rules -}}
{{- if not .peers -}}
{{- fail (printf "%s has a rule without peers, which Kubernetes reads as the whole world. Name the peers." $value) -}}
{{- end -}}
{{- if not (or .ports .udpPorts) -}}
{{- fail (printf "%s has a rule without ports, which Kubernetes reads as every port. Name the ports." $value) -}}
{{- end -}}
{{- range .peers -}}
{{- if .ipBlock -}}
{{- $cidr := .ipBlock.cidr -}}
{{- $inside := has $cidr $hosts -}}
{{- range $private -}}
{{- if regexMatch . $cidr -}}
{{- $inside = true -}}
{{- end -}}
{{- end -}}
{{- if and (regexMatch $local $cidr) (not (hasSuffix "/0" $cidr)) -}}
{{- fail (printf "%s names %s: loopback, link-local, multicast and metadata addresses are nobody's peers." $value $cidr) -}}
{{- end -}}
{{- if not $inside -}}
{{- fail (printf "%s names %s: who reads records or logs in to Vault never reaches the internet. Name a private network; a single public host that is yours, name in networkPolicy.publicHosts, too." $value $cidr) -}}
{{- end -}}
{{- else if and (hasKey . "namespaceSelector") (not .namespaceSelector) -}}
{{- fail (printf "%s has a peer that selects pods of every namespace. Select namespaces by a label." $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Addresses that are never a peer's: loopback, link-local, multicast, and what clouds tell pods their credentials at. */}}
{{- define "keyturn.network.local" -}}
^(0|127|169\.254|22[4-9]|23[0-9]|2[45][0-9])\.|^100\.100\.100\.200/|^192\.0\.0\.|^::1?/|^[fF][eE][89aAbB]|^[fF]{2}|^::[fF]{4}:|^[fF][dD]00:0?[eE][cC]2:|^[fF][dD]20:(00)?[cC][eE]:
{{- end -}}

{{/*
Refuse networks for OpenAI that would hold everything: .cidrs. What is given there is let through
as it is, without the exceptions for networks that are not public.
*/}}
{{- define "keyturn.network.refuseWide" -}}
{{- $local := include "keyturn.network.local" . -}}
{{- range .cidrs -}}
{{- if or (regexMatch "/[0-7]$" .) (regexMatch $local .) -}}
{{- fail (printf "networkPolicy.openai.cidrs names %s: leave the list empty for every public address, and name networks of /8 or less otherwise, none of them link-local." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Refuse exceptions that the API server would refuse, when half of the release is there already: they
must be less than the two networks that they are taken from. .except.
*/}}
{{- define "keyturn.network.refuseExcept" -}}
{{- range .except -}}
{{- if or (hasSuffix "/0" .) (and (contains ":" .) (not (regexMatch "^[23][0-9a-fA-F]{3}:.*/([4-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$" .))) -}}
{{- fail (printf "networkPolicy.openai.except names %s: what is not public is left out anyway. Name addresses of 0.0.0.0/0, or of 2000::/3, that are yours." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What is not public: OpenAI is at none of these, and somebody's own network, or a cloud's host, may be. */}}
{{- define "keyturn.network.notPublic" -}}
{{- $cidrs := list
  "0.0.0.0/8"
  "10.0.0.0/8"
  "100.64.0.0/10"
  "127.0.0.0/8"
  "168.63.129.16/32"
  "169.254.0.0/16"
  "172.16.0.0/12"
  "192.0.0.0/24"
  "192.168.0.0/16"
  "198.18.0.0/15"
  "224.0.0.0/4"
  "240.0.0.0/4"
  "2001::/32"
  "2002::/16"
-}}
{{- dict "cidrs" $cidrs | toJson -}}
{{- end -}}

{{/* Where the gateway's settings have OpenAI: {"hosts": [...], "ports": [...]}. */}}
{{- define "keyturn.network.upstreams" -}}
{{- $openai := (include "keyturn.gateway.settings" . | fromJson).openai -}}
{{- $hosts := list -}}
{{- $ports := list -}}
{{- range prepend $openai.other_base_urls $openai.base_url -}}
{{- $place := regexReplaceAll "^[a-z]+://" . "" | regexFind "^[^/?#]+" -}}
{{- $hosts = append $hosts (regexReplaceAll ":[0-9]+$" $place "") -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" $place | trimPrefix ":" | default "443" | int) -}}
{{- end -}}
{{- dict "hosts" (uniq $hosts) "ports" (uniq $ports) | toJson -}}
{{- end -}}

{{- /* SPDX-License-Identifier: MPL-2.0 */ -}}

{{- /* labels are those of every object: what it is by NAME, and whose release. */ -}}
{{- define "reattach.labels" -}}
{{ include "reattach.selector" . }}
app.kubernetes.io/part-of: reattach
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- /* selector is the labels by which the pods of NAME are chosen. They can never change. */ -}}
{{- define "reattach.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- /* scheduling is what the values of a host or a plugin say of its pods beside containers. */ -}}
{{- define "reattach.scheduling" -}}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $ $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* podSecurity is what the restricted Pod Security Standard asks of a pod. */ -}}
{{- define "reattach.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "reattach.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* spread is a constraint by TOPOLOGY for the pods of OF. */ -}}
{{- define "reattach.spread" -}}
- maxSkew: 1
  topologyKey: {{ .topology }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "reattach.selector" .of | nindent 6 }}
{{- end -}}

{{- /* probes are those of both: the program tells at PORT. A little time passes before
a pod is told to end, in which others learn from the EndpointSlice that it leaves. */ -}}
{{- define "reattach.probes" -}}
startupProbe:
  httpGet:
    path: /healthz
    port: {{ .port }}
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ .port }}
  periodSeconds: 2
livenessProbe:
  httpGet:
    path: /healthz
    port: {{ .port }}
lifecycle:
  preStop:
    sleep:
      seconds: 2
{{- end -}}

{{- /* env is a list of DEFAULTS with OWN, which replaces those of the same name. */ -}}
{{- define "reattach.env" -}}
{{- $names := list }}
{{- range .own }}{{ $names = append $names .name }}{{ end }}
{{- range fromYamlArray .defaults }}
{{- if not (has .name $names) }}
{{ toYaml (list .) }}
{{- end }}
{{- end }}
{{- with .own }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* mounts and volumes are those of OF, and the certificate of it where there is TLS.
Its whole directory is mounted: files of a subPath would never be renewed. */ -}}
{{- define "reattach.mounts" -}}
{{- $mounts := .of.volumeMounts | default list }}
{{- if .root.Values.tls.enabled }}
{{- $mounts = prepend $mounts (dict "name" "tls" "mountPath" "/tls" "readOnly" true) }}
{{- end }}
{{- with $mounts }}
volumeMounts: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* projected has what the kubelet makes a pod of what a signer signs. Key and chain in
one file are never read half-renewed. */ -}}
{{- define "reattach.projected" -}}
{{- $of := .Values.tls.podCertificates }}
defaultMode: 288
sources:
  - podCertificate:
      signerName: {{ $of.signerName }}
      keyType: {{ $of.keyType }}
      credentialBundlePath: tls.pem
  - clusterTrustBundle:
      signerName: {{ $of.signerName }}
      labelSelector: {}
      path: ca.crt
{{- end -}}

{{- /* cert and key are the files of a pod's own. */ -}}
{{- define "reattach.cert" -}}
/tls/{{ .Values.tls.podCertificates.enabled | ternary "tls.pem" "tls.crt" }}
{{- end -}}
{{- define "reattach.key" -}}
/tls/{{ .Values.tls.podCertificates.enabled | ternary "tls.pem" "tls.key" }}
{{- end -}}

{{- define "reattach.volumes" -}}
{{- $volumes := .of.volumes | default list }}
{{- if .root.Values.tls.enabled }}
{{- $tls := dict "name" "tls" }}
{{- if .root.Values.tls.podCertificates.enabled }}
{{- $_ := set $tls "projected" (include "reattach.projected" .root | fromYaml) }}
{{- else }}
{{- $_ := set $tls "secret" (dict "secretName" (printf "%s-tls" .of.name) "defaultMode" 288) }}
{{- end }}
{{- $volumes = prepend $volumes $tls }}
{{- end }}
{{- with $volumes }}
volumes: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* memory has Go's collector keep to the container's limit: the limit in MiB, taken for
MB, is 95 % of it. */ -}}
{{- define "reattach.memory" -}}
- name: MEMORY_LIMIT_MIB
  valueFrom:
    resourceFieldRef:
      resource: limits.memory
      divisor: 1Mi
- name: GOMEMLIMIT
  value: $(MEMORY_LIMIT_MIB)000000
{{- end -}}

{{- /* The variables of the host, some of which begin with the name of its program. */ -}}
{{- define "reattach.hostEnv" -}}
{{- $prefix := .Values.host.program | upper | replace "-" "_" -}}
- name: KUBE_SELECTOR
  value: reattach.dev/plugin
- name: PLUGIN_DIR
  value: ""
- name: {{ $prefix }}_LISTEN
  value: :8080
# Calls over HTTP need a token: see {{ $prefix }}_TOKEN_FILE.
- name: {{ $prefix }}_NO_CALLS
  value: "true"
# Empty on clusters that do not copy the zone of the node to its pods.
- name: HOST_ZONE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
- name: HOST_NODE
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
# One message, in bytes. The memory limit is for several at once.
- name: HOST_MAX_MESSAGE
  value: "4194304"
{{ include "reattach.memory" . }}
{{- if .Values.tls.enabled }}
- name: HOST_TLS_CERT_FILE
  value: {{ include "reattach.cert" . }}
- name: HOST_TLS_KEY_FILE
  value: {{ include "reattach.key" . }}
- name: HOST_TLS_CA_FILE
  value: /tls/ca.crt
{{- end }}
{{- end -}}

{{- define "reattach.pluginEnv" -}}
- name: PLUGIN_HEALTH_ADDR
  value: :8080
- name: PLUGIN_DRAIN_TIMEOUT
  value: 25s
# One message, in bytes. The memory limit is for several at once.
- name: PLUGIN_MAX_MESSAGE
  value: "4194304"
{{ include "reattach.memory" . }}
{{- if .Values.tls.enabled }}
- name: PLUGIN_TLS_CERT_FILE
  value: {{ include "reattach.cert" . }}
- name: PLUGIN_TLS_KEY_FILE
  value: {{ include "reattach.key" . }}
# Hosts without a certificate of this authority are refused.
- name: PLUGIN_TLS_CLIENT_CA_FILE
  value: /tls/ca.crt
{{- end }}
{{- end -}}

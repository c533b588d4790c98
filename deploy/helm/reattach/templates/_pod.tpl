{{- /* SPDX-License-Identifier: MPL-2.0 */ -}}

{{- /* labels are those of every object: what it is by NAME, and whose release. */ -}}
{{- define "reattach.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: reattach
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
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

{{- /* spread is a constraint by TOPOLOGY for the pods of NAME. */ -}}
{{- define "reattach.spread" -}}
- maxSkew: 1
  topologyKey: {{ .topology }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      app.kubernetes.io/name: {{ .name }}
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

{{- define "reattach.tlsMount" -}}
# The whole directory: files of a subPath would never be renewed.
volumeMounts:
  - name: tls
    mountPath: /tls
    readOnly: true
{{- end -}}

{{- define "reattach.tlsVolume" -}}
volumes:
  - name: tls
    secret:
      secretName: {{ .name }}-tls
      defaultMode: 0440
{{- end -}}

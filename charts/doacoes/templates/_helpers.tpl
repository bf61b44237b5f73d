{{- /* Name of every object but the definition. A release's name has 53 characters at most, so nothing need be cut off. */ -}}
{{- define "doacoes.fullname" -}}
{{ hasSuffix "operator" .Release.Name | ternary .Release.Name (printf "%s-operator" .Release.Name) }}
{{- end }}

{{- /*
What selects the pod. A Deployment's selector can never change. The name is not "doacoes", which is that of a platform's pods:
a NetworkPolicy of the platform with the release's name would select the operator too.
*/ -}}
{{- define "doacoes.selectorLabels" -}}
app.kubernetes.io/name: doacoes-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "doacoes.labels" -}}
{{ include "doacoes.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- /* Metadata of an object in the release's namespace. */ -}}
{{- define "doacoes.metadata" -}}
name: {{ include "doacoes.fullname" . | quote }}
namespace: {{ .Release.Namespace | quote }}
labels:
  {{- include "doacoes.labels" . | nindent 2 }}
{{- end }}

{{- /* The namespace's own account is no default for it: every pod there would get the operator's rights. */ -}}
{{- define "doacoes.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "doacoes.fullname" .) }}
{{- else -}}
{{ required "serviceAccount.name must name a ServiceAccount, because serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "doacoes.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/*
There is one Weir in a cluster: names need not tell releases apart.
*/}}
{{- define "weir.fullname" -}}
{{- .Values.fullnameOverride | default "weir" -}}
{{- end -}}

{{- define "weir.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "weir.fullname" .) -}}
{{- end -}}

{{/*
How API servers call Weir's account: what the confining policies ask for.
*/}}
{{- define "weir.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "weir.serviceAccountName" . }}
{{- end -}}

{{/*
What tells the operator's pods from those of tests and hooks.
*/}}
{{- define "weir.selectorLabels" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{/*
Of every object. `managed-by` is never `weir`: that is how Weir marks the FlowSchemas that it makes
itself.
*/}}
{{- define "weir.labels" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Labels and annotations of an object, as they stand below `metadata`. Takes the context, or a dict of
it (`root`) with more `labels` and `annotations`. Later ones win; no key is written twice.
*/}}
{{- define "weir.metadata" -}}
{{- $root := .root | default . -}}
{{- $labels := mergeOverwrite (include "weir.labels" $root | fromYaml) (.labels | default dict) -}}
{{- $annotations := mergeOverwrite (deepCopy $root.Values.commonAnnotations) (.annotations | default dict) -}}
labels:
{{ toYaml $labels | indent 2 }}
{{- with $annotations }}
annotations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end -}}

{{- define "weir.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Not empty if API servers serve MutatingAdmissionPolicy v1, of which the gate is made.

An object of a kind that is not served fails the whole installation, so that the chart must know
before it applies one; and a template can only look at discovery, not create by dry run. That is
enough here: what is not served cannot gate. It proves no more than that. Whether a served policy
gates shows only in what becomes of a pod: the operator asks for one by dry run, again and again
(condition `Gating`, metric `weir_gate_in_force`).

A hook Job could ask before the installation. It would need the image, an account and rights before
there is anything to protect, and would find no more than the operator does ten seconds later.

Without a cluster (`helm template`) Helm knows groups and versions but no kinds; the version must
do.
*/}}
{{- define "weir.policyApi" -}}
{{- $kind := "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- if eq .Values.valve.policyApi "Present" -}}
present
{{- else if eq .Values.valve.policyApi "Auto" -}}
{{- if .Capabilities.APIVersions.Has $kind -}}
present
{{- else if not (.Capabilities.APIVersions.Has "v1/Pod") -}}
{{- if semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version -}}
present
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
How far Weir really goes: without the policy API it only reads.
*/}}
{{- define "weir.mode" -}}
{{- if include "weir.policyApi" . -}}
{{ .Values.mode }}
{{- else -}}
Observe
{{- end -}}
{{- end -}}

{{/*
What every pod of the chart is held to, hooks and tests too: Pod Security `restricted`, and no more.
*/}}
{{- define "weir.podSecurityContext" -}}
runAsNonRoot: true
{{- if kindIs "invalid" .Values.runAsUser | not }}
runAsUser: {{ .Values.runAsUser | int64 }}
runAsGroup: {{ .Values.runAsUser | int64 }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "weir.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end -}}

{{/*
The account's token. Mounted by hand, since the account says that nobody gets it unasked. It lives
for an hour: one that runs out while the API is down would leave Weir blind just when the API comes
back.
*/}}
{{- define "weir.tokenVolume" -}}
- name: token
  projected:
    sources:
    - serviceAccountToken:
        path: token
        expirationSeconds: 3600
    - configMap:
        name: kube-root-ca.crt
        items:
        - key: ca.crt
          path: ca.crt
    - downwardAPI:
        items:
        - path: namespace
          fieldRef:
            fieldPath: metadata.namespace
{{- end -}}

{{- define "weir.tokenMount" -}}
- name: token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}

{{/*
A file whose objects Rust generates, with this release's namespace and labels. Takes `root` and
`path`. It is text that is put in: to read the objects and write them anew would turn large numbers
into floats.
*/}}
{{- define "weir.generated" -}}
{{- /* Without its first line: that it is generated says nothing to who reads a manifest. */ -}}
{{- $text := regexReplaceAll "\\A# Generated[^\\n]*\\n" (.root.Files.Get .path) "" -}}
{{- $head := "metadata:\n  name:" -}}
{{- if not (contains $head $text) -}}
{{- fail (printf "%s has no object that labels could be given to: run make generate" .path) -}}
{{- end -}}
{{- $metadata := include "weir.metadata" . | indent 2 -}}
{{- $text = replace $head (printf "metadata:\n%s\n  name:" $metadata) $text -}}
{{- replace "weir-system" .root.Release.Namespace $text -}}
{{- end -}}

{{/*
What pods of hooks and tests have in common.
*/}}
{{- define "weir.jobPod" -}}
restartPolicy: Never
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "weir.podSecurityContext" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Metadata of what is there for a hook only, and is gone once it has succeeded. Takes a list: the context,
the hook, and its weight. What a Job of it said is printed if it fails.
*/}}
{{- define "weir.hookMetadata" -}}
{{- $annotations := dict
  "helm.sh/hook" (index . 1)
  "helm.sh/hook-weight" (index . 2)
  "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded"
  "helm.sh/hook-output-log-policy" "hook-failed" -}}
{{- include "weir.metadata" (dict "root" (index . 0) "annotations" $annotations) -}}
{{- end -}}

{{/*
Labels of a hook's pod, which is no replica. Takes a list: the context, and what it is.
*/}}
{{- define "weir.hookPodLabels" -}}
{{- $labels := include "weir.labels" (index . 0) | fromYaml -}}
{{- mergeOverwrite $labels (dict "app.kubernetes.io/component" (index . 1)) | toYaml -}}
{{- end -}}

{{/*
What can be done once `helm uninstall` was refused. It is one paragraph, without double quotes, and with commands between
backticks: Helm 4 prints a hook's log as one quoted string, in which ends of lines and quotes are escaped.
*/}}
{{- define "weir.afterRefusal" -}}
{{- $consent := printf "kubectl create configmap %s-uninstall -n %s --from-literal=revision-%d=true"
  (include "weir.fullname" .) .Release.Namespace (int .Release.Revision) -}}
{{- $keep := printf "helm rollback %s %d -n %s" .Release.Name (int .Release.Revision) .Release.Namespace -}}
Undo it, or wait until nothing is held, and uninstall again. If it may run all the same, say so, `{{ $consent }}`, and uninstall again. If Weir is to stay: `{{ $keep }}`. Until then Helm takes no upgrade.
{{- end -}}

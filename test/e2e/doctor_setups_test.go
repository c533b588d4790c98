// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

// setup is a plugin, or the way to one, that is broken in one place.
type setup struct {
	want    string   // the code; empty: healthy
	says    string   // in what was seen
	replace []string // old and new, in setupPlugin
	more    string   // further manifests, where EACH is the set-up's
	bare    bool     // without setupPlugin
	host    string   // the Deployment of the host, if not basic
	target  string   // if not the Service
	inside  bool     // to be seen from a pod only
	then    func(t *testing.T, namespace, name string)
}

// setupPlugin is a plugin that is well.
const setupPlugin = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: EACH}
spec:
  replicas: 1
  selector: {matchLabels: {app: EACH}}
  template:
    metadata: {labels: {app: EACH}}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: plugin
          image: IMAGE
          imagePullPolicy: IfNotPresent
          env:
            - {name: PLUGIN_HEALTH_ADDR, value: ":8080"}
          ports: [{name: plugin, containerPort: 7000}, {name: health, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /readyz, port: health}, periodSeconds: 1}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: tls, mountPath: /tls}]
      volumes: [{name: tls, secret: {secretName: EACH-tls, optional: true}}]
---
apiVersion: v1
kind: Service
metadata: {name: EACH, labels: {reattach.dev/plugin: "true"}, annotations: {}}
spec:
  selector: {app: EACH}
  ports: [{name: plugin, port: 7000, targetPort: plugin}]
`

// setupHost is a host that does not run: a doctor's pod is made of it.
const setupHost = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: HOST}
spec:
  replicas: 0
  selector: {matchLabels: {app: HOST}}
  template:
    metadata: {labels: {app: HOST}}
    spec:
      serviceAccountName: basic
      automountServiceAccountToken: true
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: basic
          image: BASIC
          args: [serve]
          env:
            - {name: KUBE_SELECTOR, value: reattach.dev/plugin}
            # ENV
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: tls, mountPath: /tls}]
      volumes: [{name: tls, secret: {secretName: HOST-tls, optional: true}}]
`

// hostNamed gives a host with further variables, each NAME=VALUE.
func hostNamed(name string, env ...string) string {
	var more strings.Builder
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(&more, "- {name: %s, value: %q}\n            ", key, value)
	}
	return strings.NewReplacer("HOST", name, "# ENV", more.String(), "BASIC", image("basic")).Replace(setupHost)
}

// secretOf gives a Secret.
func secretOf(name string, files map[string][]byte) string {
	data := make(map[string]string)
	for file, content := range files {
		data[file] = string(content)
	}
	raw, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]string{"name": name}, "stringData": data})
	if err != nil {
		panic(err) // maps of strings
	}
	return "\n---\n" + string(raw) + "\n"
}

// shows gives the Secret of a set-up's certificate.
func shows(t *testing.T, by *kit.Authority, dns string, until time.Time, clients *kit.Authority) string {
	t.Helper()
	pair := by.Issue(&x509.Certificate{
		DNSNames: []string{dns}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	cert, key := kit.PEM(t, pair)
	files := map[string][]byte{"tls.crt": cert, "tls.key": key}
	if clients != nil {
		files["ca.crt"] = clients.PEM()
	}
	return secretOf("EACH-tls", files)
}

// withEnv adds variables to setupPlugin.
func withEnv(env ...string) []string {
	line := `            - {name: PLUGIN_HEALTH_ADDR, value: ":8080"}` + "\n"
	more := line
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		more += fmt.Sprintf("            - {name: %s, value: %q}\n", key, value)
	}
	return []string{line, more}
}

const (
	tlsCert  = "PLUGIN_TLS_CERT_FILE=/tls/tls.crt"
	tlsKey   = "PLUGIN_TLS_KEY_FILE=/tls/tls.key"
	probeRow = "          readinessProbe: {httpGet: {path: /readyz, port: health}, periodSeconds: 1}\n"
)

// setups are all of them.
func setups(t *testing.T) map[string]setup {
	ca, other := kit.NewAuthority(t), kit.NewAuthority(t)
	later := time.Now().Add(48 * time.Hour)
	return map[string]setup{
		// What says that there is a plugin.
		"rights":     {want: "RA0102", host: "norights", more: strings.ReplaceAll(hostNamed("norights"), "serviceAccountName: basic", "serviceAccountName: default")},
		"noservice":  {want: "RA0103", bare: true},
		"nolabel":    {want: "RA0104", replace: []string{`labels: {reattach.dev/plugin: "true"}`, "labels: {app: EACH}"}},
		"declines":   {want: "RA0104", replace: []string{`plugin: "true"`, `plugin: "off"`}},
		"elsewhere":  {want: "RA0105", host: "looks", more: hostNamed("looks", "KUBE_NAMESPACES=staging,production")},
		"external":   {want: "RA0106", bare: true, more: "apiVersion: v1\nkind: Service\nmetadata: {name: EACH, labels: {reattach.dev/plugin: \"true\"}}\nspec: {type: ExternalName, externalName: example.org}\n"},
		"portname":   {want: "RA0107", replace: []string{"annotations: {}", "annotations: {reattach.dev/port: grpc}"}},
		"twoports":   {want: "RA0107", replace: []string{"[{name: plugin, port: 7000, targetPort: plugin}]", "[{name: a, port: 7000}, {name: b, port: 8080}]"}},
		"annotation": {want: "RA0108", replace: []string{"annotations: {}", `annotations: {reattach.dev/port: "70000"}`}},
		// Its pods.
		"selector":   {want: "RA0201", replace: []string{"  selector: {app: EACH}\n  ports", "  selector: {app: slip}\n  ports"}},
		"noreplicas": {want: "RA0201", says: "Deployment noreplicas makes such pods, and is scaled down to 0 replicas", replace: []string{"replicas: 1", "replicas: 0"}},
		"noaccount": {want: "RA0201", says: `makes such pods, and may not: pods "noaccount-`,
			replace: []string{"      automountServiceAccountToken: false\n", "      serviceAccountName: nobody\n      automountServiceAccountToken: false\n"}},
		"nonode":    {want: "RA0202", replace: []string{"      enableServiceLinks", "      nodeSelector: {disk: none}\n      enableServiceLinks"}},
		"noimage":   {want: "RA0203", replace: []string{"image: IMAGE\n          imagePullPolicy: IfNotPresent", "image: registry.e2e/nothing:1\n          imagePullPolicy: Never"}},
		"nosecret":  {want: "RA0204", replace: []string{"          env:\n", "          envFrom: [{secretRef: {name: nothing}}]\n          env:\n"}},
		"crashloop": {want: "RA0205", replace: withEnv("BASIC_PLUGIN=none")},
		"unready":   {want: "RA0206", replace: []string{"port: health}, periodSeconds", "port: 8081}, periodSeconds"}},
		"leaving": {want: "RA0207", replace: []string{"terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 120",
			probeRow, probeRow + "          lifecycle: {preStop: {sleep: {seconds: 110}}}\n"}, then: func(t *testing.T, namespace, name string) {
			rolled(t, namespace, name)
			kubectl(t, "delete", "deployment", name, "-n", namespace, "--cascade=orphan") // so that nothing makes another pod
			kubectl(t, "delete", "replicasets", "-n", namespace, "-l", "app="+name, "--cascade=orphan")
			kubectl(t, "delete", "pods", "-n", namespace, "-l", "app="+name, "--wait=false")
		}},
		"targetport": {want: "RA0208", replace: []string{"targetPort: plugin", "targetPort: grpc"}},
		"noslices":   {want: "RA0210", bare: true, more: writtenService("EACH")},
		// The network.
		"policy": {want: "RA0301", more: `
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: EACH}
spec: {podSelector: {matchLabels: {app: EACH}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: somebody}}}]}]}
`},
		"egress": {want: "RA0302", host: "closed", more: hostNamed("closed") + `
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: EACH}
spec: {podSelector: {matchLabels: {app: closed}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}
`},
		"noname": {want: "RA0303", bare: true, target: "noname.e2e-doctor.svc.cluster.local:7000", inside: true},
		"dnsoff": {want: "RA0304", host: "nodns", target: "dnsoff.e2e-doctor:7000", inside: true, more: strings.ReplaceAll(hostNamed("nodns", "ATTACH_TIMEOUT=3s"),
			"      enableServiceLinks", "      dnsPolicy: None\n      dnsConfig: {nameservers: [127.0.0.1]}\n      enableServiceLinks")},
		"loopback": {want: "RA0305", replace: withEnv("PLUGIN_HOST=localhost"), inside: true},
		"vanish":   {want: "RA0306", bare: true, more: writtenService("EACH", writtenSlice("EACH", "EACH", 0, 1)), host: "quick", inside: true},
		// TLS.
		"badfile":   {want: "RA0401", host: "nofile", more: hostNamed("nofile", "HOST_TLS_CA_FILE=/nowhere/ca.crt"), inside: true},
		"plain":     {want: "RA0402", host: "secure", inside: true},
		"wantstls":  {want: "RA0403", replace: withEnv(tlsCert, tlsKey), more: shows(t, ca, "wantstls", later, nil), inside: true},
		"wrongca":   {want: "RA0404", replace: withEnv(tlsCert, tlsKey), more: shows(t, other, "wrongca", later, nil), host: "secure", inside: true},
		"expired":   {want: "RA0405", replace: withEnv(tlsCert, tlsKey), more: shows(t, ca, "expired", time.Now().Add(-time.Hour), nil), host: "secure", inside: true},
		"wrongname": {want: "RA0407", replace: withEnv(tlsCert, tlsKey), more: shows(t, ca, "somebody", later, nil), host: "secure", inside: true},
		"hostcert":  {want: "RA0408", replace: withEnv(tlsCert, tlsKey, "PLUGIN_TLS_CLIENT_CA_FILE=/tls/ca.crt"), more: shows(t, ca, "hostcert", later, ca), host: "secure", inside: true},
		"tls": {replace: withEnv(tlsCert, tlsKey), host: "secure", inside: true,
			more: shows(t, ca, "tls", later, nil) + hostNamed("secure", "HOST_TLS_CA_FILE=/tls/ca.crt") + secretOf("secure-tls", map[string][]byte{"ca.crt": ca.PEM()})},
		// The handshake.
		"noplugin": {want: "RA0501", replace: []string{"annotations: {}", `annotations: {reattach.dev/port: "8080"}`}, inside: true},
		"frozen": {want: "RA0502", replace: []string{probeRow, ""}, host: "quick", more: hostNamed("quick", "ATTACH_TIMEOUT=3s"), inside: true,
			then: func(t *testing.T, namespace, name string) {
				rolled(t, namespace, name)
				pod := kubectl(t, "get", "pods", "-n", namespace, "-l", "app="+name, "-o", "jsonpath={.items[0].metadata.name}")
				signal(t, namespace, pod, syscall.SIGSTOP)
			}},
		"cookie": {want: "RA0503", replace: append(withEnv("OTHER_COOKIE=bye", "BASIC_PLUGIN=bye"), "image: IMAGE", "image: "+image("pluginzh-version1")), inside: true},
		"version": {want: "RA0504", replace: []string{"image: IMAGE", "image: " + image("pluginzh-version1")}, host: "newest",
			more: hostNamed("newest", "CONTRACT_VERSIONS=2"), inside: true},
		"busy": {want: "RA0506", replace: withEnv("PLUGIN_MAX_SESSIONS=1"), inside: true}, // the host of the namespace is there already
	}
}

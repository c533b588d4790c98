// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/reattach/reattach/host/doctor"
)

// checkListens looks whether the plugin's pods listen where the Service leads.
func (w *walk) checkListens(context.Context) (string, error) {
	for i := range w.pods {
		pod := &w.pods[i]
		env := variablesOf(pod)
		switch host := strings.ToLower(env["PLUGIN_HOST"]); host {
		case "localhost", "127.0.0.1", "::1":
			return "", doctor.Find(doctor.ConnectionRefused, "pod %s listens on loopback only: PLUGIN_HOST=%s", pod.Name, host)
		}
		first, last, port := env["PLUGIN_MIN_PORT"], env["PLUGIN_MAX_PORT"], fmt.Sprint(w.port(pod))
		if first != "" && first == last && first != port {
			return "", doctor.Find(doctor.ConnectionRefused, "pod %s listens on port %s (PLUGIN_MIN_PORT, PLUGIN_MAX_PORT), and the Service leads to %s", pod.Name, first, port)
		}
	}
	return "nothing in the manifests is against it", nil
}

// checkSecrets looks whether host and plugin both mean to speak TLS.
func (w *walk) checkSecrets(context.Context) (string, error) {
	if w.host == nil {
		return "", doctor.Unseen("the manifests have no host, which a variable KUBE_SELECTOR or KUBE_NAMESPACES makes")
	}
	pod := corev1.Pod{Spec: w.host.template.Spec}
	host := variablesOf(&pod)
	_, asks := host["HOST_TLS_CA_FILE"]
	_, shows := host["HOST_TLS_CERT_FILE"]
	if slices.Contains(strings.Split(strings.ReplaceAll(host["HOST_TLS_PLAIN_PLUGINS"], " ", ""), ","), w.plugin()) {
		asks, shows = false, false
	}
	for i := range w.pods {
		env := variablesOf(&w.pods[i])
		_, speaks := env["PLUGIN_TLS_CERT_FILE"]
		_, wants := env["PLUGIN_TLS_CLIENT_CA_FILE"]
		name := w.pods[i].Name
		switch {
		case asks && !speaks:
			return "", doctor.Find(doctor.PluginWithoutTLS, "the host %s has HOST_TLS_CA_FILE, and pod %s has no PLUGIN_TLS_CERT_FILE", w.host, name)
		case speaks && !asks:
			return "", doctor.Find(doctor.PluginWantsTLS, "pod %s has PLUGIN_TLS_CERT_FILE, and the host %s has no HOST_TLS_CA_FILE for it", name, w.host)
		case wants && !shows:
			return "", doctor.Find(doctor.HostTurnedDown, "pod %s has PLUGIN_TLS_CLIENT_CA_FILE, and the host %s has no HOST_TLS_CERT_FILE", name, w.host)
		}
	}
	return "host and plugin mean the same", nil
}

// variablesOf has those of all containers of a pod; one that is not given by value is
// empty.
func variablesOf(pod *corev1.Pod) map[string]string {
	all := make(map[string]string)
	for _, c := range containersOf(pod) {
		for _, e := range c.Env {
			all[e.Name] = e.Value
		}
	}
	return all
}

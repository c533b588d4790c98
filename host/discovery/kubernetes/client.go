// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ownNamespaceFile is where a pod learns its namespace.
const ownNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Connect says how to reach a cluster. kubeconfig is what the variable
// KUBECONFIG holds: a file, or several with the separator of lists of paths.
// Empty means the cluster that this process runs in, as the token of its pod
// says, and outside of a pod that of the file which kubectl reads. It also
// gives the namespace that is meant where none is named: the pod's own, or
// that of the kubeconfig's current context. It does not reach the cluster yet.
func Connect(kubeconfig string) (config *rest.Config, namespace string, err error) {
	from := "KUBECONFIG " + kubeconfig
	if kubeconfig == "" {
		if InCluster() {
			return inCluster()
		}
		kubeconfig, err = kubectlFile()
		if err != nil {
			return nil, "", fmt.Errorf("this process is not in a pod: name a cluster with KUBECONFIG (%w)", err)
		}
		from = kubeconfig
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(kubeconfig)}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	config, err = loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", from, err)
	}
	namespace, _, err = loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("read the namespace of %s: %w", from, err)
	}
	return config, namespace, nil
}

// InCluster reports whether this process runs in a pod.
func InCluster() bool { return os.Getenv("KUBERNETES_SERVICE_HOST") != "" }

// kubectlFile is the file that kubectl reads where KUBECONFIG names none.
func kubectlFile() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(home, clientcmd.RecommendedHomeDir, clientcmd.RecommendedFileName)
	_, err = os.Stat(path)
	return path, err
}

func inCluster() (*rest.Config, string, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the token of this pod (automountServiceAccountToken must not be false): %w", err)
	}
	namespace, err := os.ReadFile(ownNamespaceFile)
	if err != nil {
		return nil, "", fmt.Errorf("read this pod's namespace: %w", err)
	}
	return config, strings.TrimSpace(string(namespace)), nil
}

// client reads and writes the three types of object that the source needs.
// The typed clients of client-go would link every type that Kubernetes has.
type client struct {
	core      rest.Interface // services and events
	discovery rest.Interface // endpointslices
}

func newClient(config *rest.Config) (*client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register types of Kubernetes: %w", err)
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.ContentType = "application/json"
	if config.UserAgent == "" {
		config.UserAgent = "reattach"
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	c := &client{}
	if c.core, err = restClient(config, transport, corev1.SchemeGroupVersion, "/api"); err != nil {
		return nil, err
	}
	c.discovery, err = restClient(config, transport, discoveryv1.SchemeGroupVersion, "/apis")
	return c, err
}

func restClient(config *rest.Config, transport *http.Client, gv schema.GroupVersion, path string) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &gv, path
	c, err := rest.RESTClientForConfigAndClient(config, transport)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s at %s: %w", gv, config.Host, err)
	}
	return c, nil
}

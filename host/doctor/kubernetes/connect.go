// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"os"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/reattach/reattach/host/discovery/kubernetes"
)

// Connect finds a cluster: that of kubeconfig, as the variable KUBECONFIG has it, else
// the one that this process runs in, else that of the file which kubectl reads. It does
// not reach the cluster yet.
func Connect(kubeconfig string) (*Cluster, error) {
	in := kubeconfig == "" && os.Getenv("KUBERNETES_SERVICE_HOST") != ""
	if kubeconfig == "" && !in {
		if _, err := os.Stat(clientcmd.RecommendedHomeFile); err == nil {
			kubeconfig = clientcmd.RecommendedHomeFile
		}
	}
	config, home, err := kubernetes.Connect(kubeconfig)
	if err != nil {
		return nil, err
	}
	return NewCluster(config, home, in)
}

// SPDX-License-Identifier: MPL-2.0

package kubernetes

import "github.com/reattach/reattach/host/discovery/kubernetes"

// Connect finds a cluster, as the discovery of hosts does: that of kubeconfig, as the
// variable KUBECONFIG has it, else the one that this process runs in, else that of the file
// which kubectl reads. It does not reach the cluster yet.
func Connect(kubeconfig string) (*Cluster, error) {
	config, home, err := kubernetes.Connect(kubeconfig)
	if err != nil {
		return nil, err
	}
	return NewCluster(config, home, kubeconfig == "" && kubernetes.InCluster())
}

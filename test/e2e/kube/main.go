// SPDX-License-Identifier: MPL-2.0

// Command kube is every program of a small Kubernetes cluster in one binary, as they
// share most of their code: "kube kube-apiserver --flag" is kube-apiserver.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	programs := map[string]func(){
		"coredns":                 coreDNS,
		"etcd":                    func() { etcdmain.Main(os.Args) },
		"kube-apiserver":          func() { run(apiserver.NewAPIServerCommand()) },
		"kube-controller-manager": func() { run(controllers.NewControllerManagerCommand()) },
		"kube-proxy":              func() { run(proxy.NewProxyCommand()) },
		"kube-scheduler":          func() { run(scheduler.NewSchedulerCommand()) },
		"kubectl":                 func() { run(kubectl.NewDefaultKubectlCommand()) },
		"kubelet":                 func() { run(kubelet.NewKubeletCommand(context.Background())) },
	}
	if len(os.Args) > 1 {
		if program, ok := programs[os.Args[1]]; ok {
			os.Args = os.Args[1:]
			program()
			return
		}
	}
	fmt.Fprintf(os.Stderr, "usage: kube PROGRAM [FLAG...]; programs: %s\n", strings.Join(slices.Sorted(maps.Keys(programs)), ", "))
	os.Exit(2)
}

func run(c *cobra.Command) { os.Exit(cli.Run(c)) }

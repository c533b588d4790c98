// SPDX-License-Identifier: MPL-2.0

package kube

import (
	"context"

	"github.com/reattach/reattach/host/doctor"
	kubedoctor "github.com/reattach/reattach/host/doctor/kubernetes"
)

// Ways implements cli.Examiner.
func (f *Finder) Ways(ctx context.Context, q doctor.Question) ([]doctor.Way, error) {
	c, err := kubedoctor.Connect(f.Kubeconfig)
	if err != nil {
		return nil, err
	}
	return c.Ways(ctx, q, f.Selector, f.Namespaces)
}

// Inside implements cli.Examiner.
func (f *Finder) Inside(ctx context.Context, q doctor.Question, args []string) ([]byte, error) {
	c, err := kubedoctor.Connect(f.Kubeconfig)
	if err != nil {
		return nil, err
	}
	return c.Inside(ctx, q, args)
}

// Planned implements cli.Examiner.
func (f *Finder) Planned(q doctor.Question, manifests map[string][]byte) ([]doctor.Way, error) {
	return kubedoctor.Planned(q, manifests)
}

// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/reattach/reattach/host/doctor"
)

// rule is a role or a binding, of a namespace or of the cluster.
type rule struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Rules []struct {
		APIGroups     []string `json:"apiGroups"`
		Resources     []string `json:"resources"`
		ResourceNames []string `json:"resourceNames"`
		Verbs         []string `json:"verbs"`
	} `json:"rules"`
	RoleRef struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"roleRef"`
	Subjects []struct {
		Kind      string `json:"kind"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"subjects"`
}

func (m *Manifests) addRule(raw json.RawMessage, place string) error {
	var r rule
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	if r.Kind == "ClusterRole" || r.Kind == "ClusterRoleBinding" {
		place = ""
	}
	r.Metadata.Namespace = place
	m.rules = append(m.rules, r)
	return nil
}

// may evaluates the roles and bindings of the manifests.
func (m *Manifests) may(_ context.Context, host *Host, a access) (bool, error) {
	if len(m.rules) == 0 {
		return false, doctor.Unseen("the manifests have no roles")
	}
	for _, binding := range m.rules {
		everywhere := binding.Kind == "ClusterRoleBinding"
		if !everywhere && (binding.Kind != "RoleBinding" || binding.Metadata.Namespace != a.namespace) || !m.binds(binding, host) {
			continue
		}
		for _, role := range m.rules {
			if role.Kind != binding.RoleRef.Kind || role.Metadata.Name != binding.RoleRef.Name ||
				role.Kind == "Role" && role.Metadata.Namespace != a.namespace {
				continue
			}
			if role.allows(a) {
				return true, nil
			}
		}
	}
	return false, nil
}

// binds reports whether a binding is about the host's service account.
func (m *Manifests) binds(binding rule, host *Host) bool {
	for _, s := range binding.Subjects {
		if s.Namespace == "" { // as kustomize leaves it, before a namespace is given
			s.Namespace = m.usual
		}
		if s.Kind == "ServiceAccount" && s.Name == host.ServiceAccount && s.Namespace == host.Namespace {
			return true
		}
	}
	return false
}

func (r rule) allows(a access) bool {
	has := func(all []string, one string) bool { return slices.Contains(all, "*") || slices.Contains(all, one) }
	for _, each := range r.Rules {
		if len(each.ResourceNames) == 0 && has(each.APIGroups, a.group) && has(each.Resources, a.resource) && has(each.Verbs, a.verb) {
			return true
		}
	}
	return false
}

// SPDX-License-Identifier: MPL-2.0

// Package e2e tests the project on a real cluster. Its tests are behind the build tag
// e2e, as they need one: make e2e brings up a node from nothing, or uses the cluster
// that KUBECONFIG names.
package e2e

// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// ownNode gives the directory of the node of this harness, whose processes a test may
// signal, or skips the test.
func ownNode(t *testing.T) string {
	t.Helper()
	node := os.Getenv("E2E_NODE")
	if node == "" {
		t.Skip("E2E_NODE is not set: only on the node of this harness can a test signal what runs in pods")
	}
	return node
}

// processOf gives the number, on this machine, of the process in a pod's container.
func processOf(t *testing.T, namespace, pod string) int {
	t.Helper()
	id := kubectl(t, "get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.containerStatuses[0].containerID}")
	id = strings.TrimPrefix(id, "containerd://")
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil || id == "" {
		t.Fatalf("no container in pod %s: %v", pod, err)
	}
	for _, file := range all {
		if groups, err := os.ReadFile(file); err == nil && strings.Contains(string(groups), id) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("container %s of pod %s has no process", id, pod)
	return 0
}

// signal sends one to the process in a pod's container.
func signal(t *testing.T, namespace, pod string, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(processOf(t, namespace, pod), s); err != nil {
		t.Fatal(err)
	}
}

// within runs a command in the network of a process of the node.
func within(t *testing.T, pid int, command ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nsenter", append([]string{"--target", strconv.Itoa(pid), "--net", "--"}, command...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// nodeProcess gives the first process of the node.
func nodeProcess(t *testing.T, node string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(node, "init.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// ipv6Of gives the global IPv6 address of a process's network.
func ipv6Of(t *testing.T, pid int) netip.Addr {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/if_inet6", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 6 || f[3] != "00" { // the scope
			continue
		}
		bytes, err := hex.DecodeString(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := netip.AddrFromSlice(bytes); ok {
			return a
		}
	}
	t.Skip("the pods of this node have no IPv6 address")
	return netip.Addr{}
}

// podsOf gives the names of the pods of the plugin, once there are as many as there
// shall be: those that leave are not among them.
func podsOf(t *testing.T, namespace string, n int) []string {
	t.Helper()
	var all []string
	until(t, fmt.Sprintf("there are %d pods", n), func() bool {
		all = strings.Fields(kubectl(t, "get", "pods", "-n", namespace, "-l", "app.kubernetes.io/name=pluginzh", "-o", "jsonpath={.items[*].metadata.name}"))
		return len(all) == n
	})
	return all
}

// addressOf gives the address of a pod.
func addressOf(t *testing.T, namespace, pod string) string {
	t.Helper()
	return kubectl(t, "get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.podIP}")
}

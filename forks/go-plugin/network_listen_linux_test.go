// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/hashicorp/go-plugin/internal/env"
)

// envBare marks the re-executed test that is alone in a network of its own.
const envBare = "TEST_WITHOUT_IPV6"

// TestListensWithoutIPv6 runs itself in a network namespace in which IPv6 is
// turned off, and there a plugin that is to listen on all addresses.
func TestListensWithoutIPv6(t *testing.T) {
	if os.Getenv(envBare) != "" {
		listenWithoutIPv6(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestListensWithoutIPv6$", "-test.v")
	cmd.Env = append(os.Environ(), envBare+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("no namespaces on this machine: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if strings.Contains(out.String(), "--- SKIP") {
		t.Skipf("no network without IPv6 on this machine:\n%s", &out)
	}
}

func listenWithoutIPv6(t *testing.T) {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		t.Skip(err)
	}
	if err := loopbackUp(); err != nil {
		t.Skip(err)
	}
	if haveIPv6() {
		t.Skip("IPv6 is still there")
	}
	for _, value := range []string{"true", "0.0.0.0", "localhost", "127.0.0.1"} {
		address, stderr := startOnNetwork(t, nil, env.Host+"="+value)
		if address == "" {
			t.Errorf("%s=%s does not listen: %s", env.Host, value, stderr)
			continue
		}
		if !reachable(t, "127.0.0.1", address) {
			t.Errorf("%s=%s announces %s, and cannot be reached at 127.0.0.1", env.Host, value, address)
		}
	}
	if address, stderr := startOnNetwork(t, nil, env.Host+"=::1"); address != "" || !strings.Contains(stderr, "::1") {
		t.Errorf("%s=::1 listens on %q, says %s; want an error that names it", env.Host, address, stderr)
	}
}

// loopbackUp turns the loopback interface of a new network namespace on.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	request := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP}
	copy(request.name[:], "lo")
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

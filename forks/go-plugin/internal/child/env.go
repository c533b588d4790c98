// SPDX-License-Identifier: MPL-2.0

package child

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/env"
)

// Request is what a host says to its child before there is a connection.
type Request struct {
	Versions         []int // the app versions that the host knows
	MinPort, MaxPort uint  // where there are no unix sockets
	SocketDir        string
	SocketGroup      string
	Cert             []byte // the host's one-time certificate in PEM
	MultiplexGRPC    bool
	EndWithHost      bool
	Hello            bool // the host can shake hands on the connection
}

// Env is the request as variables of the child's environment.
func (r Request) Env() []string {
	var versions []string
	for _, v := range r.Versions {
		versions = append(versions, strconv.Itoa(v))
	}
	vars := []string{
		fmt.Sprintf("%s=%d", env.MinPort, r.MinPort),
		fmt.Sprintf("%s=%d", env.MaxPort, r.MaxPort),
		env.ProtocolVersions + "=" + strings.Join(versions, ","),
	}
	set := func(name, value string) {
		if value != "" {
			vars = append(vars, name+"="+value)
		}
	}
	set(env.UnixSocketDir, r.SocketDir)
	set(env.UnixSocketGroup, r.SocketGroup)
	set(env.ClientCert, string(r.Cert))
	if r.MultiplexGRPC {
		set(env.MultiplexGRPC, "true")
	}
	if r.EndWithHost {
		set(env.EndWithHost, "true")
	}
	if r.Hello {
		set(env.Hello, helloToken(vars))
	}
	return vars
}

// VersionsFromEnv returns the app versions of the host that started this process,
// and leaves out what is no number.
func VersionsFromEnv(logger hclog.Logger) []int {
	var versions []int
	for field := range strings.SplitSeq(os.Getenv(env.ProtocolVersions), ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		v, err := strconv.Atoi(field)
		if err != nil {
			logger.Warn("host sent a version that is no number", "variable", env.ProtocolVersions, "version", field)
			continue
		}
		versions = append(versions, v)
	}
	return versions
}

// HostEnv returns the environment of this process without what is about this process
// alone. See HostEnv of the root package.
func HostEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return isOwn(name)
	})
}

// WithoutOwn leaves out of a command's environment what is about this process
// alone and was copied with the rest of its environment. Other values are the
// host's own choice.
func WithoutOwn(vars []string) []string {
	return slices.DeleteFunc(slices.Clone(vars), func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		own, set := os.LookupEnv(name)
		return set && value == own && isOwn(name)
	})
}

// isOwn reports whether a variable says something to one process alone: where it
// listens on the network, or what its own host has said to it. Where sockets go
// (PLUGIN_UNIX_SOCKET_DIR) holds for all.
func isOwn(name string) bool {
	return slices.Contains(env.Network(), name) || slices.Contains([]string{
		env.ClientCert, env.MultiplexGRPC, env.UnixSocketGroup, env.ProtocolVersions, env.MinPort, env.MaxPort, env.EndWithHost, env.Hello,
	}, name)
}

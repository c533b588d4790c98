// SPDX-License-Identifier: MPL-2.0

// Package expose makes a network plugin of a plugin executable that cannot be changed: it
// starts the executable as its host would, and serves it to hosts of the network as
// plugins of this library are served.
//
// Nothing in it knows a contract. [plugin.ServeRelay] carries what hosts and children say
// to each other; this package decides which child serves whom, and when it is replaced.
package expose

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
)

// Share says whom a child serves.
type Share string

// What Share may be.
const (
	All     Share = "all"     // one child serves every host
	Host    Share = "host"    // each host has a child of its own, whatever sessions it has
	Session Share = "session" // each session has one
)

// Defaults of Options.
const (
	defaultStartTimeout = 10 * time.Second
	defaultMaxChildren  = 64
)

// Options say what is served, and how.
type Options struct {
	// Command is the executable and its arguments.
	Command []string
	// Cookie is the magic cookie that the executable expects. Without one it is that of
	// the first host whose child starts with it, which strangers must not be: Run then
	// takes a listener on loopback or on a unix socket alone, unless Network.TLS has a CA,
	// by which hosts show certificates.
	Cookie plugin.HandshakeConfig
	// Versions are the app versions to ask the executable for, of which it takes its
	// highest. Without any they are those of the host for which a child is started.
	Versions []int
	// StartNow has New start a child also where no Versions are named: one that speaks
	// the highest version that it has.
	StartNow bool
	// Share says whom a child serves; empty: All.
	Share Share
	// Recycle says when a child is replaced; the zero value: never.
	Recycle Recycle
	// AutoMTLS makes this process and its children authenticate each other.
	AutoMTLS bool
	// StartTimeout is how long a child may take to say that it serves: 10 s if zero.
	StartTimeout time.Duration
	// MaxChildren bounds the children that serve at once: 64 if zero.
	MaxChildren int

	// ListenName is what errors call the address that hosts come to, such as the flag
	// that says it. If it is empty they show the listener's.
	ListenName string
	// Network is network mode's configuration, as [plugin.NetworkConfigFromEnv] reads it.
	// Name is the executable's if empty.
	Network *plugin.NetworkConfig
	// Stdout and Stderr get what the children write, beside the hosts. Nil drops it.
	Stdout, Stderr io.Writer
	// Around, if not nil, runs the calls of gRPC: see plugin.RelayConfig.
	Around plugin.Around
	// Logger is used for what this package and the library have to say. Nil is silent.
	Logger hclog.Logger
}

// isHostsMistake reports whether an error of a start is that of the one host that has named
// the cookie or the versions. Another host may be served.
func (o Options) isHostsMistake(err error) bool {
	switch {
	case errors.Is(err, plugin.ErrIncompatible):
		return len(o.Versions) == 0
	case errors.Is(err, attach.ErrOtherCookie):
		return o.Cookie == plugin.HandshakeConfig{}
	}
	return false
}

// withDefaults returns a copy in which nothing is left out, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if len(o.Command) == 0 {
		return o, errors.New("no executable is named")
	}
	path, err := exec.LookPath(o.Command[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		if file := attach.Executable(o.Command[0]); file != nil {
			err = file // says more
		}
		return o, fmt.Errorf("%s: %w", o.Command[0], err)
	}
	o.Command = append([]string{path}, o.Command[1:]...)
	o.Share = cmp.Or(o.Share, All)
	if o.Share != All && o.Share != Host && o.Share != Session {
		return o, fmt.Errorf("share is %q: want all, host or session", o.Share)
	}
	if (o.Cookie.MagicCookieKey == "") != (o.Cookie.MagicCookieValue == "") {
		return o, errors.New("a cookie has a key and a value: want KEY=VALUE")
	}
	if o.StartTimeout < 0 || o.MaxChildren < 0 {
		return o, errors.New("the start timeout and the bound of children are more than zero")
	}
	if err := checkSocketDir(os.Getenv(socketDirVariable)); err != nil {
		return o, err
	}
	o.StartTimeout = cmp.Or(o.StartTimeout, defaultStartTimeout)
	o.MaxChildren = cmp.Or(o.MaxChildren, defaultMaxChildren)
	o.Logger = cmp.Or(o.Logger, hclog.NewNullLogger())
	network := plugin.NetworkConfig{}
	if o.Network != nil {
		network = *o.Network
	}
	network.Name = cmp.Or(network.Name, nameOf(path))
	o.Network = &network
	return o, nil
}

func nameOf(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

const (
	// socketDirVariable is where children put their sockets.
	socketDirVariable = "PLUGIN_UNIX_SOCKET_DIR"
	// maxSocketPath is the longest path of a unix socket, in bytes: sun_path of Linux
	// has 108, with a zero at the end.
	maxSocketPath = 107
	// socketName is as long as the name that a Go plugin gives its socket.
	socketName = "/plugin1234567890"
)

// checkSocketDir says why a child could not listen in a directory. It would only say
// "invalid argument" of a path that is too long.
func checkSocketDir(dir string) error {
	if dir == "" {
		return nil
	}
	if n := len(dir) + len(socketName); n > maxSocketPath {
		return fmt.Errorf("%s is too long for sockets by %d bytes, of %d that a path may have: %s", socketDirVariable, n-maxSocketPath, maxSocketPath, dir)
	}
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%s: %w", socketDirVariable, err)
	} else if !info.IsDir() {
		return fmt.Errorf("%s: %s is no directory", socketDirVariable, dir)
	}
	return nil
}

// SPDX-License-Identifier: MPL-2.0

package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/hashicorp/go-plugin/internal/env"
)

// Sockets says where unix sockets go and who may use them.
type Sockets struct {
	// Dir is the directory of the sockets. Empty: the system's for temporary files.
	Dir string
	// Group may use the sockets too: a name or a number. Empty: only the owner may.
	Group string
}

// SocketsFromEnv reads PLUGIN_UNIX_SOCKET_DIR and PLUGIN_UNIX_SOCKET_GROUP, by which
// a host tells its child what it wants.
func SocketsFromEnv() Sockets {
	return Sockets{Dir: os.Getenv(env.UnixSocketDir), Group: os.Getenv(env.UnixSocketGroup)}
}

// MakeDir makes a directory for the sockets of one plugin and has s use it. The caller
// removes it. It lies in parent, or among the system's temporary files if that is empty.
func (s *Sockets) MakeDir(parent string) error {
	dir, err := os.MkdirTemp(parent, "plugin-dir")
	if err != nil {
		return fmt.Errorf("create socket directory: %w", err)
	}
	if s.Group != "" {
		if err := shareWithGroup(dir, s.Group, 0o770); err != nil {
			_ = os.RemoveAll(dir)
			return err
		}
	}
	s.Dir = dir
	return nil
}

// nameAttempts is how many names for a socket are tried.
const nameAttempts = 100

// listen opens a unix socket under a name that nothing else has. The listener's
// Close removes the file.
func (s Sockets) listen() (net.Listener, error) {
	dir := s.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	for range nameAttempts {
		path := filepath.Join(dir, fmt.Sprintf("plugin%d", rand.Uint32()))
		lis, err := net.Listen("unix", path)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue // Binding takes no name that exists.
		}
		if err != nil {
			return nil, fmt.Errorf("listen on plugin socket: %w", err)
		}
		if err := s.restrict(path); err != nil {
			return nil, errors.Join(err, lis.Close())
		}
		return lis, nil
	}
	return nil, fmt.Errorf("listen on plugin socket: %d names in %s are taken", nameAttempts, dir)
}

// restrict lets the owner use the socket, and the group if there is one.
func (s Sockets) restrict(path string) error {
	if s.Group != "" {
		return shareWithGroup(path, s.Group, 0o660)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("keep plugin socket private: %w", err)
	}
	return nil
}

// shareWithGroup gives path to a group, which is a name or a number.
func shareWithGroup(path, group string, mode fs.FileMode) error {
	gid, err := strconv.Atoi(group)
	if err != nil {
		found, err := user.LookupGroup(group)
		if err != nil {
			return fmt.Errorf("find socket group: %w", err)
		}
		if gid, err = strconv.Atoi(found.Gid); err != nil {
			return fmt.Errorf("socket group %q has no numeric id (%q)", group, found.Gid)
		}
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("give socket to group %q: %w", group, err)
	}
	return os.Chmod(path, mode)
}

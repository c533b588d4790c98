// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
)

// UnixSocketConfig says where sockets go and who may use them.
type UnixSocketConfig struct {
	// Group owns the sockets and may write to them: a name or a number. The
	// process must be a member of it. Empty: only the owner may.
	Group string

	// TempDir is the directory under which a directory for the sockets is made.
	// It must exist. Empty: the system's default.
	TempDir string

	// socketDir is the directory made for one plugin.
	socketDir string
}

// unixSocketConfigFromEnv is how a child learns what its host wants.
func unixSocketConfigFromEnv() UnixSocketConfig {
	return UnixSocketConfig{
		Group:     os.Getenv(EnvUnixSocketGroup),
		socketDir: os.Getenv(EnvUnixSocketDir),
	}
}

// makeSocketDir creates the directory for one plugin's sockets. The caller
// removes it.
func (c *UnixSocketConfig) makeSocketDir() error {
	dir, err := os.MkdirTemp(c.TempDir, "plugin-dir")
	if err != nil {
		return fmt.Errorf("create socket directory: %w", err)
	}
	if c.Group != "" {
		if err := shareWithGroup(dir, c.Group, 0o770); err != nil {
			_ = os.RemoveAll(dir)
			return err
		}
	}
	c.socketDir = dir
	return nil
}

// shareWithGroup gives path to a group, which is a name or a number.
func shareWithGroup(path, group string, mode fs.FileMode) error {
	gid, err := groupID(group)
	if err != nil {
		return err
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("give socket to group %q: %w", group, err)
	}
	return os.Chmod(path, mode)
}

func groupID(group string) (int, error) {
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("find socket group: %w", err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return 0, fmt.Errorf("socket group %q has no numeric id (%q)", group, g.Gid)
	}
	return gid, nil
}

// SPDX-License-Identifier: MPL-2.0

package listen

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/internal/env"
)

// unixScheme begins a value that names a unix socket.
const unixScheme = "unix:"

// socketPathBytes is how long the path of a unix socket may be: the system has 108 bytes
// for it, and a zero byte at the end (unix(7)).
const socketPathBytes = 107

// IsUnix reports whether the value of PLUGIN_HOST, or of another setting, asks for a unix
// socket.
func IsUnix(value string) bool { return strings.HasPrefix(strings.ToLower(value), unixScheme) }

// unixPath returns the path of the socket that a setting names: unix:///path.
func unixPath(setting, value string) (string, error) {
	path := strings.TrimPrefix(value[len(unixScheme):], "//")
	switch {
	case strings.HasPrefix(path, "@") || strings.HasPrefix(path, "\x00"):
		return "", fmt.Errorf("%s is %q: abstract sockets have no permissions, so that everybody may use the plugin: "+
			"want the path of a file, as in unix:///run/plugins/store.sock", setting, value)
	case !filepath.IsAbs(path):
		return "", fmt.Errorf("%s is %q: want an absolute path, as in unix:///run/plugins/store.sock", setting, value)
	case len(path) > socketPathBytes:
		return "", fmt.Errorf("%s names a socket whose path has %d bytes, and the system takes %d: use a shorter directory (%s)",
			setting, len(path), socketPathBytes, path)
	}
	return filepath.Clean(path), nil
}

// Unix opens the socket that a setting such as PLUGIN_HOST names by its value, which errors
// repeat. PLUGIN_UNIX_SOCKET_GROUP and PLUGIN_UNIX_SOCKET_MODE say who may use it. A socket
// that nobody serves on any more is replaced. The listener's Close removes the file.
func Unix(setting, value string) (net.Listener, error) {
	path, err := unixPath(setting, value)
	if err != nil {
		return nil, err
	}
	sockets := SocketsFromEnv()
	mode, err := modeFromEnv()
	if err != nil {
		return nil, err
	}
	unlock := lockDir(filepath.Dir(path))
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	lis, err := net.Listen("unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: the directory %s does not exist: create it, or mount a volume there", setting, filepath.Dir(path))
	case err != nil:
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	err = sockets.restrict(path)
	if err == nil && mode != 0 {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		return nil, errors.Join(err, lis.Close())
	}
	return lis, nil
}

// modeFromEnv reads PLUGIN_UNIX_SOCKET_MODE. Zero: it is not set.
func modeFromEnv() (fs.FileMode, error) {
	value := strings.TrimSpace(os.Getenv(env.UnixSocketMode))
	if value == "" {
		return 0, nil
	}
	mode, err := strconv.ParseUint(value, 8, 32)
	if err != nil || mode == 0 || mode > 0o777 {
		return 0, fmt.Errorf("%s is %q, want the permissions in octal, as in 0660", env.UnixSocketMode, value)
	}
	return fs.FileMode(mode), nil
}

// liveCheck bounds the look whether something listens on a socket. The system answers at
// once.
const liveCheck = time.Second

// removeStale removes the socket of a plugin that has ended without doing so, and
// nothing else. The caller holds the lock of the directory.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is no socket (%s): remove it, or use another path", path, info.Mode())
	}
	conn, err := net.DialTimeout("unix", path, liveCheck)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("another process serves on %s: end it first, or use another path", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("it is not known whether another process serves on %s: %w", path, cmp.Or(errors.Unwrap(err), err))
	}
	return os.Remove(path)
}

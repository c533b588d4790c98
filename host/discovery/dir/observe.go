// SPDX-License-Identifier: MPL-2.0

package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reattach/reattach/host/target"
)

// observation is what one look saw of one file. The zero value is absence.
type observation struct {
	info    fs.FileInfo // of the file itself, behind any symbolic links
	problem string      // why it cannot be used, whatever its content
}

// same reports whether nothing happened between two looks.
func (o observation) same(p observation) bool {
	if o.problem != p.problem || (o.info == nil) != (p.info == nil) {
		return false
	}
	return o.info == nil || unchanged(o.info, p.info)
}

// unchanged reports whether a and b are the same file with, as far as its
// size and times tell, the same content.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// socketEnding is how the names of sockets end.
const socketEnding = ".sock"

// placement says what the name of a file makes of it, 0 for nothing.
func (o Options) placement(name string) target.Placement {
	if strings.HasPrefix(name, ".") {
		return 0
	}
	if o.Sockets {
		if filepath.Ext(name) == socketEnding {
			return target.Network
		}
		return 0
	}
	if ok, _ := filepath.Match(o.SharedObjects, name); ok {
		return target.InProcess
	}
	if ok, _ := filepath.Match(o.Executables, name); ok {
		return target.Child
	}
	return 0
}

// Names gives the names of the plugins whose files are in a directory, in order: of
// executables and shared objects, by the usual patterns. It opens none of them, and does not
// say whether they can be used.
func Names(path string) ([]string, error) {
	o, err := Options{Dir: path}.withDefaults()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if o.placement(e.Name()) != 0 && !e.IsDir() {
			names = append(names, pluginName(e.Name()))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// observe looks at every file whose name fits. A directory that does not
// exist has no files.
func (o Options) observe() (map[string]observation, error) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("look into plugin directory: %w", err)
	}
	seen := make(map[string]observation)
	for _, e := range entries {
		if placement := o.placement(e.Name()); placement != 0 {
			seen[e.Name()] = observeFile(filepath.Join(o.Dir, e.Name()), placement)
		}
	}
	return seen, nil
}

func observeFile(path string, placement target.Placement) observation {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if to, err := os.Readlink(path); err == nil {
			return observation{problem: fmt.Sprintf("the symbolic link leads to %s, which does not exist", to)}
		}
		return observation{} // it went between the two looks
	case err != nil:
		return observation{problem: "it cannot be examined: " + cause(err)}
	case info.IsDir():
		return observation{problem: "it is a directory"}
	case placement == target.Network && info.Mode().Type() != fs.ModeSocket:
		return observation{problem: "it is not a socket"}
	case placement == target.Network:
		if err := target.ValidateSocketPath(path); err != nil {
			return observation{info: info, problem: err.Error()}
		}
		return observation{info: info}
	case !info.Mode().IsRegular():
		return observation{problem: "it is not a regular file"}
	case placement == target.Child && info.Mode().Perm()&0o111 == 0:
		return observation{info: info, problem: "it is not executable: chmod +x it"}
	case info.Size() == 0:
		return observation{info: info, problem: "it is empty"}
	}
	f, err := os.Open(path)
	if err != nil {
		return observation{info: info, problem: "it cannot be read: " + cause(err)}
	}
	_ = f.Close() // nothing was written
	return observation{info: info}
}

// cause strips the path that os repeats.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

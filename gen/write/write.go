// SPDX-License-Identifier: MPL-2.0

package write

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// Files writes all that carries a contract, by paths relative to its directory. The numbers
// of its values are set.
func Files(ctx context.Context, c *model.Contract) (map[string][]byte, error) {
	source := c.ProtoSource
	if c.Proto == "" {
		source = protoSource(c)
	}
	m, err := messagesOf(ctx, c, source)
	if err != nil {
		return nil, err
	}
	pb := pbName(c)
	files := map[string][]byte{
		filepath.Join(pb, c.Name+".pb.go"): m.source,
		"CONTRACT.md":                      docsPage(c),
	}
	if c.Proto == "" {
		files[filepath.Join(pb, c.Name+".proto")] = []byte(source)
	}
	add := func(path string, write func() ([]byte, error)) {
		if err == nil {
			files[path], err = write()
		}
	}
	if gob := gobSource(c); gob != "" {
		add(filepath.Join(pb, "gob.go"), func() ([]byte, error) { return formatted(gob) })
	}
	add(c.Name+model.Suffix, func() ([]byte, error) { return sharedFile(c, m) })
	for _, s := range c.Services {
		path := strings.ToLower(s.Name) + model.Suffix
		if files[path] != nil || path == c.Name+model.Suffix {
			path = strings.ToLower(s.Name) + "_glue" + model.Suffix
		}
		add(path, func() ([]byte, error) { return glueFile(c, m, s) })
	}
	add(filepath.Join(hostName(c), hostName(c)+".go"), func() ([]byte, error) { return hostFile(c, m) })
	add(filepath.Join(testName(c), testName(c)+".go"), func() ([]byte, error) { return fakeFile(c, m) })
	add(c.Name+"_reattach_test.go", func() ([]byte, error) { return testFile(c, m) })
	if err != nil {
		return nil, err
	}
	return files, nil
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// archiveName is what containerd calls an image that it imports.
const archiveName = "io.containerd.image.name"

// writeArchive writes an OCI image layout as one tar, without times.
func writeArchive(index v1.ImageIndex, name, out string) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(out), ".images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	names := map[string]string{archiveName: name, "org.opencontainers.image.ref.name": name}
	if err := path.AppendIndex(index, layout.WithAnnotations(names)); err != nil {
		return err
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return archive(file, os.DirFS(dir))
}

// archive writes files in the order of their paths.
func archive(to io.Writer, files fs.FS) error {
	w := tar.NewWriter(to)
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	return errors.Join(err, w.Close())
}

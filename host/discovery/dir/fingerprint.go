// SPDX-License-Identifier: MPL-2.0

package dir

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
)

// errChanged says that a file changed while it was being read.
var errChanged = errors.New("it changed while it was read")

// errIncomplete says that a file ends before it should.
var errIncomplete = errors.New("it is incomplete, as if its copying had stopped")

// fingerprint reads the whole file and gives "sha256:" and the digest. The
// file must be the one that was observed, and still be when it has been read.
func fingerprint(ctx context.Context, path string, observed fs.FileInfo) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { _ = f.Close() })() // it ends a long read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !unchanged(info, observed) {
		return "", errChanged
	}
	if err := complete(f, info.Size()); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// complete finds out whether an ELF file, which executables and shared
// objects are on Linux, has all that its headers speak of. A copy that
// stalls looks settled, and only this tells. Other files pass.
func complete(f io.ReaderAt, size int64) error {
	file, err := elf.NewFile(f)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return shorterThanHeaders(f)
	}
	if err != nil {
		return nil // no ELF file, or one that is too odd to check
	}
	var end uint64
	for _, p := range file.Progs {
		end = max(end, p.Off+p.Filesz)
	}
	for _, s := range file.Sections {
		if s.Type != elf.SHT_NOBITS {
			end = max(end, s.Offset+s.FileSize)
		}
	}
	if end > uint64(size) {
		return errIncomplete
	}
	return nil
}

// shorterThanHeaders tells a short ELF file from any other short file.
func shorterThanHeaders(f io.ReaderAt) error {
	magic := make([]byte, len(elf.ELFMAG))
	if _, err := f.ReadAt(magic, 0); err != nil || string(magic) != elf.ELFMAG {
		return nil
	}
	return errIncomplete
}

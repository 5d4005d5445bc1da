package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

const (
	maxDefaultReserve = 256 << 20
	reserveShare      = 20 // the default reserve is a 20th of the volume when that is less
	ballastShare      = 8  // the ballast is an 8th of the reserve
)

// diskGuard watches the free space of the volume. Below the reserve captures are refused, because a full disk fails
// deletions too. An eighth of the reserve is a ballast file: upkeep gives it back when even that space is gone, so that
// it can remove what retention says, and takes it again later.
type diskGuard struct {
	dir     string
	reserve int64 // below 0 = by the size of the volume
	low     *atomic.Bool
	seen    *atomic.Pointer[Volume] // by the last check
}

// Volume is the space of the volume that the database is on, in bytes.
type Volume struct {
	Free    int64
	Size    int64
	Reserve int64 // below this much free space captures are refused
}

func newDiskGuard(database string, reserve int64) diskGuard {
	return diskGuard{dir: filepath.Dir(database), reserve: reserve, low: new(atomic.Bool), seen: new(atomic.Pointer[Volume])}
}

func (d *diskGuard) message() string {
	if d.low.Load() {
		return "New requests are refused, because the disk is almost full. Free some space, or lower HOOKKEEPER_DISK_RESERVE."
	}
	return ""
}

// check looks at the volume and reports whether the answer of message changed.
func (d *diskGuard) check() (changed bool, err error) {
	v, err := volumeOf(d.dir, d.reserve)
	if err != nil {
		return false, err
	}
	d.seen.Store(&v)
	low := v.Free < v.Reserve
	return d.low.Swap(low) != low, d.keepBallast(v.Free, v.Reserve)
}

// volumeOf looks at the volume of a directory. A reserve below 0 is the default.
func volumeOf(dir string, reserve int64) (Volume, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return Volume{}, err
	}
	v := Volume{Free: int64(stat.Bavail) * stat.Bsize, Size: int64(stat.Blocks) * stat.Bsize, Reserve: reserve}
	if reserve < 0 {
		v.Reserve = min(maxDefaultReserve, v.Size/reserveShare)
	}
	return v, nil
}

func (d *diskGuard) keepBallast(free, reserve int64) error {
	path := filepath.Join(d.dir, "ballast")
	size := reserve / ballastShare
	info, err := os.Stat(path)
	switch {
	case err == nil && (free < size || info.Size() > size):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist) && size > 0 && free > 2*reserve:
		return allocate(path, size)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// allocate makes a file that really takes up its size.
func allocate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, errors.ErrUnsupported) { // not every file system can: then there is no ballast
		err = nil
	}
	return errors.Join(err, f.Close())
}

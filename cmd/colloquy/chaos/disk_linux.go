package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

const (
	smallDiskBytes = 8 << 30 // of a sparse file: what is not written takes no space
	ballastName    = "ballast"
	largestBallast = 1 << 30
	leastBallast   = 4 << 10
)

// smallDisk is a file system of its own for one node's data. It is in the
// mounts of the cell and goes with it.
type smallDisk struct{ root string }

// newSmallDisk mounts one at dir: a file with ext4 in it, or memory where the
// system has no loop devices.
func newSmallDisk(ctx context.Context, dir string) (*smallDisk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	image := dir + ".img"
	err := makeImage(ctx, image)
	if err == nil {
		err = feed(ctx, nil, "", "mount", "-o", "loop", image, dir)
	}
	if err != nil {
		if second := feed(ctx, nil, "", "mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", dir); second != nil {
			return nil, fmt.Errorf("no file system of its own for a node: %w", errors.Join(err, second))
		}
	}
	return &smallDisk{root: dir}, nil
}

func makeImage(ctx context.Context, image string) error {
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		return err
	}
	f, err := os.OpenFile(image, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600) //nolint:gosec // in the run's own folder
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(smallDiskBytes), f.Close()); err != nil {
		return err
	}
	return feed(ctx, nil, "", "mkfs.ext4", "-q", "-m", "0", "-F", image)
}

// fill takes all the space that is free.
func (d *smallDisk) fill() error {
	f, err := os.OpenFile(filepath.Join(d.root, ballastName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	size := int64(0)
	for step := int64(largestBallast); step >= leastBallast; {
		switch err := syscall.Fallocate(int(f.Fd()), 0, size, step); {
		case err == nil:
			size += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		case !errors.Is(err, syscall.EINTR):
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// free gives the space back.
func (d *smallDisk) free() error {
	err := os.Remove(filepath.Join(d.root, ballastName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// settle moves the data to the file system that the folder is on, because this
// one goes with the cell.
func (d *smallDisk) settle() error {
	moved := d.root + ".moved"
	err := os.CopyFS(moved, os.DirFS(d.root))
	if err = errors.Join(err, syscall.Unmount(d.root, 0)); err != nil {
		return err
	}
	if err := os.Remove(d.root + ".img"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return errors.Join(os.Remove(d.root), os.Rename(moved, d.root))
}

package persistence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/persistence/logfile"
)

// In a directory of format 1 the raft log and the raft vote were rows of the
// database:
//
//	L index8    raft log
//	k 'k' name  raft vote and term

// moveLog moves the raft log of a directory of format 1 into files of its own.
// Until the identity says so it is done again from the start.
func moveLog(db *pebble.DB, id *Identity, o logfile.Options) error {
	if err := o.FS.RemoveAll(o.Dir); err != nil {
		return err
	}
	if err := copyLog(db, o); err != nil {
		return err
	}
	moved := *id
	moved.Format = directoryFormat
	if err := storeIdentity(db, moved); err != nil {
		return err
	}
	*id = moved
	return nil
}

// copyLog writes the rows of a log to files.
func copyLog(db pebble.Reader, o logfile.Options) error {
	files, err := logfile.Open(o)
	if err != nil {
		return err
	}
	return errors.Join(copyRows(db, files), files.Close())
}

func copyRows(db pebble.Reader, files *logfile.Log) error {
	stable := make(map[string][]byte)
	prefix := stableKey(nil)
	err := scan(db, prefixBounds(prefix, nil), func(key, rec []byte) (bool, error) {
		b, err := body(tagRaft, rec)
		stable[string(key[len(prefix):])] = bytes.Clone(b)
		return true, err
	})
	if err != nil {
		return fmt.Errorf("read the raft vote: %w", err)
	}
	if len(stable) > 0 {
		if err := files.SetNote(appendStable(nil, stable)); err != nil {
			return err
		}
	}
	return copyEntries(db, files)
}

// copyEntries writes the entries of a log to files, many at a time.
func copyEntries(db pebble.Reader, files *logfile.Log) error {
	first, size := uint64(0), 0
	var rows [][]byte
	write := func() error {
		if len(rows) == 0 {
			return nil
		}
		_, err := files.Append(first, len(rows), func(b []byte, i int) []byte { return append(b, rows[i]...) })
		rows, size = rows[:0], 0
		return err
	}
	err := scan(db, prefixBounds(tagPrefix(tagLog), nil), func(key, rec []byte) (bool, error) {
		index, err := logKeyIndex(key)
		if err == nil && size >= maxBatchBytes {
			err = write()
		}
		if err != nil {
			return false, err
		}
		if len(rows) == 0 {
			first = index
		} else if index != first+uint64(len(rows)) {
			return false, fmt.Errorf("%w: raft entry %d follows %d others from %d on", ErrCorrupt, index, len(rows), first)
		}
		rows, size = append(rows, bytes.Clone(rec)), size+len(rec)
		return true, nil
	})
	return errors.Join(err, write())
}

// dropMovedLog removes the rows of a log that was moved.
func dropMovedLog(db *pebble.DB) error {
	for _, prefix := range [][]byte{tagPrefix(tagLog), stableKey(nil)} {
		found := false
		err := scan(db, prefixBounds(prefix, nil), func(_, _ []byte) (bool, error) {
			found = true
			return false, nil
		})
		if err != nil {
			return fmt.Errorf("look for a raft log in the database: %w", err)
		}
		if !found {
			continue
		}
		if err := errors.Join(db.DeleteRange(prefix, after(prefix), pebble.NoSync), db.Flush()); err != nil {
			return fmt.Errorf("drop the raft log from the database: %w", err)
		}
	}
	return nil
}

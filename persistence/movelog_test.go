package persistence

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/colloquyhq/colloquy/persistence/logfile"
)

// killed gives the disk of a store that was killed: a part of what it has
// acknowledged is in its log only.
func killed(t *testing.T) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	s := openTest(t, testOptions(disk))
	appendMany(t, s, conv(1), 40)
	if err := s.truncateLog(trailingEntries); err != nil {
		t.Fatal(err)
	}
	appendMany(t, s, conv(2), 40)
	return disk.CrashClone(vfs.CrashCloneCfg{})
}

// asFormat1 makes a directory what an earlier version of this program would have
// left: the log and the vote are rows of the database.
func asFormat1(t *testing.T, fs vfs.FS) {
	t.Helper()
	files, err := logfile.Open(logfile.Options{FS: fs, Dir: logDir(fs, "journal"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open("journal", &pebble.Options{FS: fs, FormatMajorVersion: formatVersion, Logger: pebbleLogger{logger: withDefaults(Options{}).Logger}})
	if err != nil {
		t.Fatal(err)
	}
	id, _, err := loadIdentity(db)
	if err != nil {
		t.Fatal(err)
	}
	id.Format = 1
	stable, err := decodeStable(files.Note())
	if err != nil || len(stable) == 0 {
		t.Fatalf("vote = %v, %v", stable, err)
	}
	for key, value := range stable {
		err = errors.Join(err, db.Set(stableKey([]byte(key)), append(appendHeader(nil, tagRaft), value...), pebble.Sync))
	}
	for i := files.First(); i <= files.Last(); i++ {
		rec, rerr := files.Read(i)
		err = errors.Join(err, rerr, db.Set(appendLogKey(nil, i), rec, pebble.Sync))
	}
	err = errors.Join(err, storeIdentity(db, id), db.Close(), files.Close(), fs.RemoveAll(logDir(fs, "journal")))
	if err != nil {
		t.Fatal(err)
	}
}

func wantMoved(t *testing.T, s *Store) {
	t.Helper()
	for n := range 2 {
		if got := len(mustEntries(t, s, conv(n+1))); got != 40 {
			t.Errorf("%s has %d entries, want 40", conv(n+1), got)
		}
	}
	checkInvariants(t, s)
	id, ok, err := loadIdentity(s.db)
	if err != nil || !ok || id.Format != directoryFormat || s.Identity().Format != directoryFormat {
		t.Errorf("identity = %+v, %v", id, err)
	}
	for _, prefix := range [][]byte{tagPrefix(tagLog), stableKey(nil)} {
		err := scan(s.db, prefixBounds(prefix, nil), func(key, _ []byte) (bool, error) {
			t.Errorf("row %q is left in the database", key)
			return false, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogOfAnEarlierVersionIsMoved(t *testing.T) {
	t.Parallel()
	for name, break1 := range map[string]func(t *testing.T, fs vfs.FS){
		"at once": func(*testing.T, vfs.FS) {},
		"again, after the power went": func(t *testing.T, fs vfs.FS) {
			t.Helper()
			l, err := logfile.Open(logfile.Options{FS: fs, Dir: logDir(fs, "journal")})
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Append(3, 1, func(b []byte, _ int) []byte { return append(b, "half of it"...) })
			if err := errors.Join(err, l.SetNote([]byte("nothing")), l.Close()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := killed(t)
			asFormat1(t, fs)
			break1(t, fs)
			s := openTest(t, testOptions(fs))
			wantMoved(t, s)
			term := s.raft.CurrentTerm()
			mustAppend(t, s, step(conv(3), 0, 1))
			s = reopen(t, s)
			wantMoved(t, s)
			if s.raft.CurrentTerm() <= term {
				t.Errorf("term %d after %d: the vote was forgotten", s.raft.CurrentTerm(), term)
			}
			if got := len(mustEntries(t, s, conv(3))); got != 1 {
				t.Errorf("%d entries, want 1", got)
			}
		})
	}
}

// TestRowsOfAMovedLogGo is the power cut between the move and the removal of what
// was moved.
func TestRowsOfAMovedLogGo(t *testing.T) {
	t.Parallel()
	fs := killed(t)
	s := openTest(t, testOptions(fs))
	err := errors.Join(
		s.db.Set(appendLogKey(nil, 1), []byte("old"), pebble.NoSync), s.db.Set(stableKey([]byte("vote")), []byte("old"), pebble.NoSync))
	if err != nil {
		t.Fatal(err)
	}
	wantMoved(t, reopen(t, s))
}

// TestKilledNodeCanBeLookedAt inspects a directory whose node was killed, of this
// version and of an earlier one, and recovers from it: what was acknowledged is
// in the log, if not in the state.
func TestKilledNodeCanBeLookedAt(t *testing.T) {
	t.Parallel()
	for _, format := range []int{1, directoryFormat} {
		fs := killed(t)
		if format == 1 {
			asFormat1(t, fs)
		}
		a, err := openArchive(fs, "journal")
		if err != nil {
			t.Fatal(err)
		}
		files, err := inspectLog(a, fs, "journal")
		if err != nil {
			t.Fatal(err)
		}
		r, conf, err := found(a.db, files, a.identity, fs, "journal")
		if err := errors.Join(err, files.Close(), a.Close()); err != nil {
			t.Fatal(err)
		}
		if len(conf.Servers) != 1 || r.Last <= r.Applied {
			t.Errorf("format %d: found %+v with %d servers, want one and a log beyond the state", format, r, len(conf.Servers))
		}
		wantMoved(t, openTest(t, testOptions(fs)))
	}
}

// TestFrontOfTheLogIsMissed takes entries away that the state does not hold.
func TestFrontOfTheLogIsMissed(t *testing.T) {
	t.Parallel()
	fs := killed(t)
	files, err := logfile.Open(logfile.Options{FS: fs, Dir: logDir(fs, "journal")})
	if err != nil {
		t.Fatal(err)
	}
	last := files.Last()
	rec, err := files.Read(last)
	if err := errors.Join(err, files.Reset()); err != nil {
		t.Fatal(err)
	}
	_, err = files.Append(last, 1, func(b []byte, _ int) []byte { return append(b, rec...) })
	if err := errors.Join(err, files.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(testOptions(fs))
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open = %v, want %v", err, ErrCorrupt)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

const (
	startWithin = time.Minute
	stopWithin  = time.Minute
)

// database is a MariaDB of its own: a process in a temporary folder, behind a
// socket there.
type database struct {
	cmd    *exec.Cmd
	ended  chan error
	socket string
}

// startDatabase makes an empty database and starts its server. Every commit is
// on the disk before it is answered, as with the journal.
func startDatabase(ctx context.Context, dir string) (*database, error) {
	data := filepath.Join(dir, "data")
	install := exec.CommandContext(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	if os.Geteuid() == 0 {
		install.Args = append(install.Args, "--user=root")
	}
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mariadb-install-db (Debian: mariadb-server): %w\n%s", err, out)
	}
	d := &database{socket: filepath.Join(dir, "s"), ended: make(chan error, 1)}
	d.cmd = exec.Command("mariadbd", "--no-defaults", "--datadir="+data, "--socket="+d.socket, "--skip-networking",
		"--pid-file="+filepath.Join(dir, "pid"), "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=512M",
		"--innodb-log-file-size=256M", "--max-connections=300", "--skip-log-bin")
	if os.Geteuid() == 0 {
		d.cmd.Args = append(d.cmd.Args, "--user=root")
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("mariadbd (Debian: mariadb-server): %w", err)
	}
	go func() {
		d.ended <- d.cmd.Wait()
		_ = log.Close()
	}()
	return d, nil
}

// open waits for the server and makes the schema. connections is how many
// writers there are.
func (d *database) open(ctx context.Context, connections int) (*gorm.DB, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	db, err := d.connect(ctx, "mysql")
	if err == nil {
		err = db.Exec("CREATE DATABASE IF NOT EXISTS bench").Error
		err = errors.Join(err, closePool(db))
	}
	if err != nil {
		return nil, err
	}
	if db, err = d.connect(ctx, "bench"); err != nil {
		return nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return db, db.AutoMigrate(&message{})
}

// connect tries until the server answers, has ended, or ctx has.
func (d *database) connect(ctx context.Context, name string) (*gorm.DB, error) {
	for {
		dsn := "root@unix(" + d.socket + ")/" + name + "?charset=utf8mb4&parseTime=true"
		db, err := gorm.Open(mysql.Open(dsn), &gorm.Config{Logger: logger.Discard})
		if err == nil {
			return db, nil
		}
		wait := time.NewTimer(200 * time.Millisecond)
		select {
		case <-wait.C:
		case end := <-d.ended:
			d.ended <- end
			return nil, fmt.Errorf("mariadbd ended: %w", end)
		case <-ctx.Done():
			return nil, fmt.Errorf("mariadbd does not answer: %w", err)
		}
	}
}

func closePool(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// stop ends the server and waits for it.
func (d *database) stop() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(stopWithin)
	defer timeout.Stop()
	select {
	case err := <-d.ended:
		return err
	case <-timeout.C:
		_ = d.cmd.Process.Kill()
		<-d.ended
		return fmt.Errorf("mariadbd did not end within %v", stopWithin)
	}
}

package devstack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

const (
	clusterMasters  = 3
	clusterReplicas = 3 // in all
	// nodeTimeout is how long a master is silent before it is given up, in
	// milliseconds. Shorter, and a busy machine makes failovers that nobody asked for.
	nodeTimeout = "1000"
)

// ClusterDaemon is a private Redis Cluster: three masters, each with a replica
// that takes over when it is gone. Its methods may be called from any goroutine.
type ClusterDaemon struct {
	folder *folder
	nodes  nodes
}

// StartCluster starts a cluster and returns when it serves and every replica is
// in step. ctx bounds the start only; the servers run until Stop.
func StartCluster(ctx context.Context) (*ClusterDaemon, error) {
	cli, err := findProgram("redis-cli", "redis-tools")
	if err != nil {
		return nil, err
	}
	program, user, folder, err := groundFor("redis-server")
	if err != nil {
		return nil, err
	}
	c := &ClusterDaemon{folder: folder}
	err = onFreePorts(clusterMasters+clusterReplicas, func(ports []int) error {
		return c.build(ctx, cli, program, user, ports)
	})
	if err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	return c, nil
}

func (c *ClusterDaemon) build(ctx context.Context, cli, program string, user *syscall.Credential, ports []int) error {
	c.nodes = nodes{}
	for _, port := range ports {
		args := append(append([]string{}, replicating...), "--cluster-enabled", "yes", "--cluster-node-timeout", nodeTimeout,
			// One lost master must not stop the rooms of the others.
			"--cluster-require-full-coverage", "no")
		n, err := newNode(program, c.folder.path, port, user, args...)
		if err != nil {
			return err
		}
		c.nodes[n.addr()] = n
	}
	if err := c.nodes.startAll(ctx); err != nil {
		return err
	}
	err := c.create(ctx, cli)
	if err == nil {
		err = await(ctx, "the cluster serves and its replicas are in step", c.ready)
	}
	if err != nil {
		err = fmt.Errorf("%w; the logs:\n%s", err, c.Log())
		c.nodes.stop()
	}
	return err
}

func (c *ClusterDaemon) create(ctx context.Context, cli string) error {
	args := append([]string{"--cluster", "create"}, c.nodes.addrs()...)
	args = append(args, "--cluster-replicas", strconv.Itoa(clusterReplicas/clusterMasters), "--cluster-yes")
	if out, err := exec.CommandContext(ctx, cli, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("creating the cluster: %w: %s", err, out)
	}
	return nil
}

// ready says whether every node knows the whole cluster and every replica is in step.
func (c *ClusterDaemon) ready(ctx context.Context) bool {
	replicas := 0
	for addr := range c.nodes {
		rdb := asking(addr)
		info, err := rdb.ClusterInfo(ctx).Result()
		_ = rdb.Close()
		if err != nil || !strings.Contains(info, "cluster_state:ok") ||
			!strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(c.nodes))) {
			return false
		}
		if !isMaster(ctx, addr) {
			if replicas++; !inStep(ctx, addr) {
				return false
			}
		}
	}
	return replicas == clusterReplicas
}

// URL is where the cluster is, in the form that redisconn.Open takes.
func (c *ClusterDaemon) URL() string { return "redis-cluster://" + strings.Join(c.nodes.addrs(), ",") }

// MasterOf is the address of the master that serves a key, as a majority of the
// nodes that run have it.
func (c *ClusterDaemon) MasterOf(ctx context.Context, key string) (string, error) {
	votes := map[string]int{}
	for addr, n := range c.nodes {
		if n.pid() == 0 {
			continue
		}
		if owner, err := ownerAt(ctx, addr, key); err == nil {
			if votes[owner]++; votes[owner] > len(c.nodes)/2 {
				return owner, nil
			}
		}
	}
	return "", errors.New("asking the cluster for the master of a key: its nodes do not agree")
}

// ownerAt is who serves the key in the eyes of one node.
func ownerAt(ctx context.Context, addr, key string) (string, error) {
	rdb := asking(addr)
	defer func() { _ = rdb.Close() }()
	slot, err := rdb.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return "", err
	}
	ranges, err := rdb.ClusterSlots(ctx).Result()
	if err != nil {
		return "", err
	}
	return ownerIn(ranges, int(slot))
}

func ownerIn(ranges []redis.ClusterSlot, slot int) (string, error) {
	for _, r := range ranges {
		if r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 {
			return r.Nodes[0].Addr, nil
		}
	}
	return "", fmt.Errorf("slot %d has no master", slot)
}

// FailedOver waits until another master than old serves the key.
func (c *ClusterDaemon) FailedOver(ctx context.Context, key, old string) (master string, err error) {
	err = await(ctx, "another master than "+old+" serves "+key, func(ctx context.Context) bool {
		master, err = c.MasterOf(ctx, key)
		return err == nil && master != old && isMaster(ctx, master)
	})
	return master, err
}

// Kill ends one server at once, as a power cut would.
func (c *ClusterDaemon) Kill(addr string) error {
	n, err := c.nodes.get(addr)
	if err == nil {
		n.kill()
	}
	return err
}

// Start starts a killed server again, without the data it had: it comes back as a
// replica of whoever took over.
func (c *ClusterDaemon) Start(ctx context.Context, addr string) error {
	n, err := c.nodes.get(addr)
	if err != nil {
		return err
	}
	return n.start(ctx)
}

// Log is the end of every server's log.
func (c *ClusterDaemon) Log() string { return c.nodes.log() }

// Stop ends the servers and removes everything.
func (c *ClusterDaemon) Stop() error {
	c.nodes.stop()
	return c.folder.remove()
}

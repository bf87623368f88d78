using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Tests.Budget;

/// <summary>A ledger with its storage and some silos, moved by hand: every call is one batch that is written.</summary>
internal sealed class LedgerDriver
{
    public const string Server = "server/1";

    private readonly Dictionary<string, LeaseHolder> _holders = [];

    /// <summary>A coordinator that has taken over an empty ledger of a server that is up for long.</summary>
    /// <param name="shared">What the pools share.</param>
    public LedgerDriver(int shared)
    {
        Settings = WithShared(shared);
        Ledger = TakeOver();
        Look();
    }

    public BudgetSettings Settings { get; set; }

    public Ledger Ledger { get; set; }

    public LedgerState Stored { get; set; } = new();

    public TimeSpan Now { get; set; } = TimeSpan.FromSeconds(1000);

    public BudgetView View => Ledger.View(Now);

    /// <summary>Settings of which so many connections are left to share.</summary>
    public static BudgetSettings WithShared(int shared)
    {
        BudgetSettings none = new BudgetOptions().ToSettings(0);
        BudgetSum sum = BudgetSum.Of(none);
        return none with { ServerConnections = sum.Needed - sum.Floors + shared };
    }

    public LeaseHolder Holder(string silo, int ceiling = 100, int weight = 1, LeaseRole role = LeaseRole.Silo)
    {
        if (!_holders.TryGetValue(silo, out LeaseHolder? holder))
        {
            holder = new LeaseHolder(silo, role, ceiling, Settings, new Random(1), weight);
            _holders.Add(silo, holder);
        }

        return holder;
    }

    /// <summary>The next request of a silo that uses and wants so many.</summary>
    public LeaseRequest Ask(string silo, int used = 0, int pending = 0, int idle = 0) =>
        Holder(silo).Ask(new LeaseFigures { Used = used, Pending = pending, Idle = idle }, Now);

    /// <summary>Applies, writes, commits.</summary>
    public IReadOnlyList<LeaseReply> Write(params LeaseRequest[] requests)
    {
        LedgerBatch batch = Ledger.Apply(requests, Now);
        Stored = batch.State;
        return Ledger.Commit(batch, Now);
    }

    /// <summary>A silo asks, is answered and applies the answer; then a second passes.</summary>
    public int Renew(string silo, int used = 0, int pending = 0, int idle = 0)
    {
        LeaseReply reply = Write(Ask(silo, used, pending, idle))[0];
        Take(silo, reply);
        Now += TimeSpan.FromSeconds(1);
        return reply.Permits;
    }

    public void Take(string silo, LeaseReply reply)
    {
        if (Holder(silo).Accept(reply, Now) is { } terms) Holder(silo).MarkApplied(terms);
    }

    /// <summary>All of them renew so often that shrinks are acknowledged and growth is given; each then uses what it
    /// can of what it wants.</summary>
    /// <returns>The permits, in order.</returns>
    public int[] Settle(params (string Silo, int Wanted)[] silos)
    {
        for (int round = 0; round < 5; round++)
        {
            foreach ((string silo, int wanted) in silos)
            {
                int used = Math.Min(wanted, Holder(silo).Terms.Permits);
                Take(silo, Write(Ask(silo, used, wanted - used))[0]);
            }

            Now += TimeSpan.FromSeconds(1);
        }

        return [.. silos.Select(one => Holder(one.Silo).Terms.Permits)];
    }

    public LeaseView Lease(string silo) => View.Leases.Single(lease => lease.Incarnation == silo);

    /// <summary>Looks at a server that has these sessions.</summary>
    public IReadOnlyList<DeploymentSession> Look(params DeploymentSession[] sessions) =>
        Ledger.Observe(sessions, new ServerLife(Server, TimeSpan.Zero), Now);

    /// <summary>Another activation reads what is stored.</summary>
    public Ledger TakeOver(string server = Server, TimeSpan? uptime = null) =>
        TakeOver(new ServerLife(server, uptime ?? TimeSpan.FromDays(1)));

    /// <summary>The same, on this server.</summary>
    public Ledger TakeOver(ServerLife server) =>
        Ledger = new Ledger(Stored, Guid.NewGuid().ToString(), server, Settings, Now);

    public void Wait(double seconds) => Now += TimeSpan.FromSeconds(seconds);
}

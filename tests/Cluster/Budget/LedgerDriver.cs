using UPool.Cluster.Budget;
using UPool.MySql;

namespace UPool.Cluster.Tests.Budget;

/// <summary>A ledger with its storage and some silos, driven by hand: every call is one written batch.</summary>
internal sealed class LedgerDriver
{
    public const string Server = "server/1";

    private readonly Dictionary<string, LeaseHolder> _holders = [];

    /// <summary>A coordinator that took over an empty ledger from a server with a long uptime.</summary>
    /// <param name="shared">The number of permits that the pools share.</param>
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

    /// <summary>Settings with this number of connections left to share.</summary>
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

    /// <summary>The next request of a silo with these figures.</summary>
    public LeaseRequest Ask(string silo, int used = 0, int pending = 0, int idle = 0) =>
        Holder(silo).Ask(new LeaseFigures { Used = used, Pending = pending, Idle = idle }, Now);

    /// <summary>Applies the requests, writes the ledger and commits.</summary>
    public IReadOnlyList<LeaseReply> Write(params LeaseRequest[] requests)
    {
        LedgerBatch batch = Ledger.Apply(requests, Now);
        Stored = batch.State;
        return Ledger.Commit(batch, Now);
    }

    /// <summary>One renewal of a silo: request, reply, apply; then one second passes.</summary>
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

    /// <summary>Renews all silos until shrinks are acknowledged and growth is granted; each silo then uses as much of
    /// its demand as its permits allow.</summary>
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

    /// <summary>Lets the ledger observe a server with these sessions.</summary>
    public IReadOnlyList<DeploymentSession> Look(params DeploymentSession[] sessions) =>
        Ledger.Observe(sessions, new ServerLife(Server, TimeSpan.Zero), Now);

    /// <summary>Another activation reads the stored ledger.</summary>
    public Ledger TakeOver(string server = Server, TimeSpan? uptime = null) =>
        TakeOver(new ServerLife(server, uptime ?? TimeSpan.FromDays(1)));

    /// <summary>The same, on this server.</summary>
    public Ledger TakeOver(ServerLife server) =>
        Ledger = new Ledger(Stored, Guid.NewGuid().ToString(), server, Settings, Now);

    public void Wait(double seconds) => Now += TimeSpan.FromSeconds(seconds);
}

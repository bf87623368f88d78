using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using Orleans.Storage;
using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget;

/// <summary>A round trip of every budget type that crosses processes or is stored.</summary>
public sealed class RoundTripTests
{
    private static readonly ServiceProvider Services = new ServiceCollection()
        .AddSerializer()
        .AddSingleton<OrleansJsonSerializer>()
        .AddSingleton<JsonGrainStorageSerializer>()
        .BuildServiceProvider();

    private static readonly BudgetSettings Settings = new()
    {
        ServerConnections = 1,
        MaxSilos = 2,
        MaxClients = 3,
        Reserve = 4,
        Floor = 5,
        RenewInterval = TimeSpan.FromSeconds(6),
        LeaseDuration = TimeSpan.FromSeconds(7),
        Grace = TimeSpan.FromSeconds(8),
    };

    private static readonly LeaseFigures Figures = new()
    {
        Opening = 1,
        Idle = 2,
        Used = 3,
        Closing = 4,
        Pending = 5,
        Peak = 6,
        WaitP50 = TimeSpan.FromSeconds(7),
        WaitP95 = TimeSpan.FromSeconds(8),
        WaitP99 = TimeSpan.FromSeconds(9),
    };

    private static readonly LedgerState State = new()
    {
        Format = 1,
        Revision = 2,
        Writer = "writer",
        ServerStart = "start",
        Settings = Settings,
        Records =
        [
            new LeaseRecord
            {
                Incarnation = "a", Role = LeaseRole.Client, Sequence = 1, Grant = 2, Permits = 3, Held = 4,
                Duration = TimeSpan.FromSeconds(5), Grace = TimeSpan.FromSeconds(6), HasLeft = true,
            },
            new LeaseRecord { Incarnation = "b" },
        ],
    };

    [Fact]
    public void LeaseRequest_EveryMember_Survives()
    {
        var request = new LeaseRequest
        {
            Incarnation = "a",
            Role = LeaseRole.Client,
            Sequence = 1,
            AppliedGrant = 2,
            Permits = 3,
            Remaining = TimeSpan.FromSeconds(4),
            Figures = Figures,
            Ceiling = 5,
            Weight = 6,
            Settings = Settings,
            IsLeaving = true,
            SawRestart = true,
        };

        Assert.Equal(request, Cross(request));
    }

    [Fact]
    public void LeaseReply_EveryMember_Survives()
    {
        var reply = new LeaseReply
        {
            RequestSequence = 1,
            Status = LeaseStatus.Reclaiming,
            Grant = 2,
            Permits = 3,
            Duration = TimeSpan.FromSeconds(4),
            Grace = TimeSpan.FromSeconds(5),
            ServerConnections = 6,
            IsMismatched = true,
        };

        Assert.Equal(reply, Cross(reply));
    }

    [Fact]
    public void BudgetView_EveryMember_Survives()
    {
        var view = new BudgetView
        {
            ServerConnections = 1,
            Shared = 2,
            Held = 3,
            Orphans = 4,
            IsLearning = true,
            IsMismatched = true,
            Revision = 5,
            Leases =
            [
                new LeaseView
                {
                    Incarnation = "a", Role = LeaseRole.Client, State = LeaseState.Unheard, Permits = 1, Held = 2,
                    Wanted = 3, Wait = LeaseWait.Orphans, Remaining = TimeSpan.FromSeconds(4), Figures = Figures,
                },
            ],
        };

        BudgetView crossed = Cross(view);
        Assert.Equal(view.Leases, crossed.Leases);
        Assert.Equal(view with { Leases = [] }, crossed with { Leases = view.Leases[..0] });
    }

    [Fact]
    public void LedgerState_EveryMember_Survives() => AssertSame(State, Cross(State));

    [Fact]
    public void LedgerState_EveryMember_SurvivesGrainStorage()
    {
        var serializer = Services.GetRequiredService<JsonGrainStorageSerializer>();

        AssertSame(State, serializer.Deserialize<LedgerState>(serializer.Serialize(State))!);
    }

    private static void AssertSame(LedgerState state, LedgerState crossed)
    {
        Assert.Equal(state.Records, crossed.Records);
        Assert.Equal(state with { Records = [] }, crossed with { Records = [] });
    }

    private static T Cross<T>(T value)
    {
        var serializer = Services.GetRequiredService<Serializer>();
        return serializer.Deserialize<T>(serializer.SerializeToArray(value))!;
    }
}

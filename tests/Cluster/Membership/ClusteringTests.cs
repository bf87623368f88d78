using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using MySqlConnector;
using Orleans.Configuration;
using Orleans.Runtime.Membership;
using Orleans.Runtime.MembershipService;

namespace UPool.Cluster.Tests.Membership;

/// <summary>Orleans' own membership table on our statements; each test has its own cluster id.</summary>
public sealed class ClusteringTests(SchemaFixture schema) : IClassFixture<SchemaFixture>
{
    private static readonly DateTime Start = new(2024, 5, 6, 7, 8, 9, 123, 456, DateTimeKind.Utc);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private readonly string _cluster = $"cluster-{Guid.NewGuid():N}";

    [Fact]
    public async Task InitializeMembershipTable_ByTwo_StartsEmptyAtVersionZero()
    {
        var table = await CreateTableAsync();
        await CreateTableAsync();

        var data = await table.ReadAllAsync(Token);

        Assert.Empty(data.Members);
        Assert.Equal(0, data.Version.Version);
        Assert.Equal("0", data.Version.VersionEtag);
    }

    [Fact]
    public async Task InsertMembershipVersion_SecondTime_AnswersFalse()
    {
        const string Insert = "CALL upool_insert_member_version_v1(@DeploymentId)";

        Assert.Equal("1", await schema.ExecuteAsync(Insert, ("@DeploymentId", _cluster)));
        Assert.Equal("0", await schema.ExecuteAsync(Insert, ("@DeploymentId", _cluster)));
    }

    [Fact]
    public async Task InsertMembershipVersion_IdTooLong_FailsAndIsNotCutOff()
    {
        var tooLong = new string('x', 151);

        await Assert.ThrowsAsync<MySqlException>(() => schema.ExecuteAsync(
            "CALL upool_insert_member_version_v1(@DeploymentId)", ("@DeploymentId", tooLong)));
    }

    [Fact]
    public async Task ReadAll_ClusterIdsThatDifferInCase_AreTwoClusters()
    {
        var lower = await CreateTableAsync("Case-" + _cluster);
        var upper = await CreateTableAsync("CASE-" + _cluster);
        Assert.True(await lower.InsertRowAsync(Member(1), (await lower.ReadAllAsync(Token)).Version.Next(), Token));

        Assert.Empty((await upper.ReadAllAsync(Token)).Members);
        Assert.True(await upper.InsertRowAsync(Member(1), (await upper.ReadAllAsync(Token)).Version.Next(), Token));

        Assert.Single((await lower.ReadAllAsync(Token)).Members);
    }

    [Fact]
    public async Task InsertRow_NewMember_ComesBackWholeAndMovesTheVersion()
    {
        var table = await CreateTableAsync();
        var member = Member(1);
        member.SuspectTimes = [];

        Assert.True(await table.InsertRowAsync(member, (await table.ReadAllAsync(Token)).Version.Next(), Token));

        var data = await table.ReadAllAsync(Token);
        var read = Assert.Single(data.Members).Item1;
        Assert.Equal(1, data.Version.Version);
        Assert.Equal(member.SiloAddress, read.SiloAddress);
        Assert.Equal(member.SiloName, read.SiloName);
        Assert.Equal(member.HostName, read.HostName);
        Assert.Equal(member.Status, read.Status);
        Assert.Equal(member.ProxyPort, read.ProxyPort);
        Assert.Equal(member.StartTime, read.StartTime);
        Assert.Equal(DateTimeKind.Utc, read.StartTime.Kind);
        Assert.Equal(member.IAmAliveTime, read.IAmAliveTime);
        Assert.Null(read.SuspectTimes);
    }

    [Fact]
    public async Task InsertRow_StaleVersion_ChangesNothing()
    {
        var table = await CreateTableAsync();
        var stale = (await table.ReadAllAsync(Token)).Version.Next();
        Assert.True(await table.InsertRowAsync(Member(1), stale, Token));

        Assert.False(await table.InsertRowAsync(Member(2), stale, Token));

        var data = await table.ReadAllAsync(Token);
        Assert.Single(data.Members);
        Assert.Equal(1, data.Version.Version);
    }

    [Fact]
    public async Task InsertRow_MemberAlreadyThere_ChangesNothing()
    {
        var table = await CreateTableAsync();
        Assert.True(await table.InsertRowAsync(Member(1), (await table.ReadAllAsync(Token)).Version.Next(), Token));

        Assert.False(await table.InsertRowAsync(Member(1), (await table.ReadAllAsync(Token)).Version.Next(), Token));

        Assert.Equal(1, (await table.ReadAllAsync(Token)).Version.Version);
    }

    [Fact]
    public async Task InsertMembership_ValueTheColumnRefuses_LeavesNoTransactionBehind()
    {
        var table = await CreateTableAsync();
        await using var connection = await schema.DataSource.OpenConnectionAsync(Token);
        await using var insert = new MySqlCommand(
            "CALL upool_insert_member_v1(@d, '127.0.0.1', 1, 1, REPEAT('x', 151), 'h', 3, 0, NOW(), NOW(), 0)",
            connection);
        insert.Parameters.AddWithValue("@d", _cluster);
        await Assert.ThrowsAsync<MySqlException>(() => insert.ExecuteNonQueryAsync(Token));

        // The connection is still open: if it still held a lock, this statement would wait and fail after a second.
        Assert.Equal("0", await schema.ExecuteAsync(
            "SET SESSION innodb_lock_wait_timeout = 1;" +
            "SELECT Version FROM upool_member_version WHERE DeploymentId = @d FOR UPDATE", ("@d", _cluster)));
        Assert.Empty((await table.ReadAllAsync(Token)).Members);
    }

    [Fact]
    public async Task InsertRow_TenAtOnceWithOneVersion_OneWins()
    {
        var table = await CreateTableAsync();
        var version = (await table.ReadAllAsync(Token)).Version.Next();

        var won = await Task.WhenAll(
            Enumerable.Range(1, 10).Select(port => table.InsertRowAsync(Member(port), version, Token)));

        Assert.Single(won, one => one);
        var data = await table.ReadAllAsync(Token);
        Assert.Single(data.Members);
        Assert.Equal(1, data.Version.Version);
    }

    [Fact]
    public async Task UpdateRow_CurrentVersion_ChangesTheMemberAndMovesTheVersion()
    {
        var table = await CreateTableAsync();
        var member = Member(1);
        Assert.True(await table.InsertRowAsync(member, (await table.ReadAllAsync(Token)).Version.Next(), Token));

        member.Status = SiloStatus.Dead;
        member.IAmAliveTime = Start.AddSeconds(90);
        member.SuspectTimes = [Tuple.Create(Member(2).SiloAddress, Start.AddSeconds(1))];
        Assert.True(await UpdateAsync(table, member, (await table.ReadAllAsync(Token)).Version));

        var data = await table.ReadRowAsync(member.SiloAddress, Token);
        var read = Assert.Single(data.Members).Item1;
        Assert.Equal(2, data.Version.Version);
        Assert.Equal(SiloStatus.Dead, read.Status);
        Assert.Equal(Start.AddSeconds(90), read.IAmAliveTime);
        Assert.Equal(Member(2).SiloAddress, Assert.Single(read.SuspectTimes!).Item1);
    }

    [Fact]
    public async Task UpdateRow_SameValuesAgain_StillMovesTheVersion()
    {
        var table = await CreateTableAsync();
        Assert.True(await table.InsertRowAsync(Member(1), (await table.ReadAllAsync(Token)).Version.Next(), Token));

        Assert.True(await UpdateAsync(table, Member(1), (await table.ReadAllAsync(Token)).Version));

        Assert.Equal(2, (await table.ReadAllAsync(Token)).Version.Version);
    }

    [Fact]
    public async Task UpdateRow_StaleVersion_ChangesNothing()
    {
        var table = await CreateTableAsync();
        var stale = (await table.ReadAllAsync(Token)).Version;
        Assert.True(await table.InsertRowAsync(Member(1), stale.Next(), Token));
        var member = Member(1);
        member.Status = SiloStatus.Dead;

        Assert.False(await UpdateAsync(table, member, stale));

        var data = await table.ReadAllAsync(Token);
        Assert.Equal(1, data.Version.Version);
        Assert.Equal(SiloStatus.Active, Assert.Single(data.Members).Item1.Status);
    }

    [Fact]
    public async Task UpdateRow_MemberNotThere_DoesNotMoveTheVersion()
    {
        var table = await CreateTableAsync();

        Assert.False(await UpdateAsync(table, Member(1), (await table.ReadAllAsync(Token)).Version));

        Assert.Equal(0, (await table.ReadAllAsync(Token)).Version.Version);
    }

    [Fact]
    public async Task UpdateIAmAlive_Member_ChangesItAndNotTheVersion()
    {
        var table = await CreateTableAsync();
        Assert.True(await table.InsertRowAsync(Member(1), (await table.ReadAllAsync(Token)).Version.Next(), Token));
        Assert.True(await table.InsertRowAsync(Member(2), (await table.ReadAllAsync(Token)).Version.Next(), Token));
        var member = Member(1);
        member.IAmAliveTime = Start.AddMinutes(1);

        await table.UpdateIAmAliveAsync(member, Token);

        var data = await table.ReadAllAsync(Token);
        Assert.Equal(2, data.Version.Version);
        Assert.Equal(
            [Start.AddMinutes(1), Start],
            data.Members.OrderBy(one => one.Item1.SiloAddress.Endpoint.Port).Select(one => one.Item1.IAmAliveTime));
    }

    [Fact]
    public async Task ReadRow_NoSuchMember_HasTheVersionAlone()
    {
        var table = await CreateTableAsync();
        Assert.True(await table.InsertRowAsync(Member(1), (await table.ReadAllAsync(Token)).Version.Next(), Token));

        var data = await table.ReadRowAsync(Member(9).SiloAddress, Token);

        Assert.Empty(data.Members);
        Assert.Equal(1, data.Version.Version);
    }

    [Fact]
    public async Task GetGateways_ActiveWithAGateway_OnlyThose()
    {
        var table = await CreateTableAsync();
        var joining = Member(2);
        joining.Status = SiloStatus.Joining;
        var without = Member(3);
        without.ProxyPort = 0;
        foreach (var member in (MembershipEntry[])[Member(1), joining, without])
        {
            Assert.True(await table.InsertRowAsync(member, (await table.ReadAllAsync(Token)).Version.Next(), Token));
        }

        var provider = new AdoNetGatewayListProvider(
            NullLogger<AdoNetGatewayListProvider>.Instance,
            Services(),
            Options.Create(new AdoNetClusteringClientOptions
            {
                Invariant = SchemaFixture.Invariant,
                DataSource = schema.DataSource,
            }),
            Options.Create(new GatewayOptions()),
            Cluster(_cluster));
        await provider.InitializeGatewayListProviderAsync(Token);

        Assert.Equal(
            [Member(1).ProxyPort],
            (await provider.GetGatewaysAsync(Token)).Select(gateway => gateway.ToIPEndPoint()?.Port));
    }

    [Fact]
    public async Task CleanupDefunctSiloEntries_OldAndDead_OnlyThoseGo()
    {
        var table = await CreateTableAsync();
        var suspected = Member(2);
        suspected.SuspectTimes = [Tuple.Create(Member(1).SiloAddress, Start)];
        MembershipEntry[] members = [Member(1), suspected, Member(3), Member(4)];
        foreach (var member in members)
        {
            Assert.True(await table.InsertRowAsync(member, (await table.ReadAllAsync(Token)).Version.Next(), Token));
        }

        // 1: dead and old. 2: the same, with suspicions. 3: dead and recent. 4: active and old.
        members[2].IAmAliveTime = Start.AddHours(1);
        foreach (var member in members[..3])
        {
            member.Status = SiloStatus.Dead;
            Assert.True(await UpdateAsync(table, member, (await table.ReadAllAsync(Token)).Version));
        }

        await table.CleanupDefunctSiloEntriesAsync(Start.AddMinutes(30), Token);

        var data = await table.ReadAllAsync(Token);
        Assert.Equal(
            [members[2].SiloAddress, members[3].SiloAddress],
            data.Members.Select(one => one.Item1.SiloAddress).OrderBy(address => address.Endpoint.Port));
        Assert.Equal(7, data.Version.Version);
    }

    [Theory]
    [InlineData(SiloStatus.Dead, 1, true)]
    [InlineData(SiloStatus.Dead, 0, false)]
    [InlineData(SiloStatus.Stopping, 1, false)]
    public async Task CleanupDefunctSiloEntriesQuery_StatusAndAge_DeletesOnlyOldAndDead(
        SiloStatus status, int secondsAfterAlive, bool deleted)
    {
        // Orleans prefers the statement for one entry if it exists, so this one is tested alone.
        var table = await CreateTableAsync();
        var member = Member(1);
        member.Status = status;
        Assert.True(await table.InsertRowAsync(member, (await table.ReadAllAsync(Token)).Version.Next(), Token));

        await schema.ExecuteAsync(
            await schema.ExecuteAsync(
                "SELECT QueryText FROM OrleansQuery WHERE QueryKey = 'CleanupDefunctSiloEntriesKey'"),
            ("@DeploymentId", _cluster), ("@IAmAliveTime", Start.AddSeconds(secondsAfterAlive)));

        Assert.Equal(deleted ? 0 : 1, (await table.ReadAllAsync(Token)).Members.Count);
    }

    [Theory]
    [InlineData(SiloStatus.Dead, "a", "a", 0, true)]
    [InlineData(SiloStatus.Dead, null, null, 0, true)]
    [InlineData(SiloStatus.Active, "a", "a", 0, false)]
    [InlineData(SiloStatus.Dead, "a", null, 0, false)]
    [InlineData(SiloStatus.Dead, null, "a", 0, false)]
    [InlineData(SiloStatus.Dead, "a", "a", 1, false)]
    public async Task CleanupDefunctSiloEntry_RowAndCapturedValues_DeletesOnlyWhatWasSeen(
        SiloStatus status, string? stored, string? captured, int aliveSecondsLater, bool deleted)
    {
        var table = await CreateTableAsync();
        var member = Member(1);
        member.Status = status;
        Assert.True(await table.InsertRowAsync(member, (await table.ReadAllAsync(Token)).Version.Next(), Token));
        await schema.ExecuteAsync(
            "UPDATE upool_member SET SuspectTimes = @s WHERE DeploymentId = @d", ("@s", stored), ("@d", _cluster));

        await schema.ExecuteAsync(
            await schema.ExecuteAsync(
                "SELECT QueryText FROM OrleansQuery WHERE QueryKey = 'CleanupDefunctSiloEntryKey'"),
            ("@DeploymentId", _cluster), ("@Address", "127.0.0.1"), ("@Port", 1), ("@Generation", 1),
            ("@SuspectTimes", captured), ("@StartTime", Start), ("@IAmAliveTime", Start.AddSeconds(aliveSecondsLater)));

        Assert.Equal(deleted ? "0" : "1", await schema.ExecuteAsync(
            "SELECT COUNT(*) FROM upool_member WHERE DeploymentId = @d", ("@d", _cluster)));
    }

    [Fact]
    public async Task DeleteMembershipTableEntries_Cluster_TakesMembersAndVersionOfThatOneAlone()
    {
        var table = await CreateTableAsync();
        Assert.True(await table.InsertRowAsync(Member(1), (await table.ReadAllAsync(Token)).Version.Next(), Token));
        var other = await CreateTableAsync("other-" + _cluster);
        Assert.True(await other.InsertRowAsync(Member(1), (await other.ReadAllAsync(Token)).Version.Next(), Token));

        await table.DeleteMembershipTableEntriesAsync(_cluster, Token);

        const string Count =
            "SELECT (SELECT COUNT(*) FROM upool_member WHERE DeploymentId = @d) + " +
            "(SELECT COUNT(*) FROM upool_member_version WHERE DeploymentId = @d)";
        Assert.Equal("0", await schema.ExecuteAsync(Count, ("@d", _cluster)));
        Assert.Single((await other.ReadAllAsync(Token)).Members);
    }

    private static MembershipEntry Member(int port) => new()
    {
        SiloAddress = SiloAddress.New(IPAddress.Loopback, port, generation: 1),
        SiloName = $"silo {port}",
        HostName = "host",
        Status = SiloStatus.Active,
        ProxyPort = 30_000 + port,
        StartTime = Start,
        IAmAliveTime = Start,
    };

    // A row's etag is the version of the table at the read.
    private static Task<bool> UpdateAsync(IMembershipTable table, MembershipEntry member, TableVersion read) =>
        table.UpdateRowAsync(member, read.VersionEtag, read.Next(), Token);

    private static IOptions<ClusterOptions> Cluster(string id) =>
        Options.Create(new ClusterOptions { ClusterId = id, ServiceId = "service" });

    private static ServiceProvider Services() => new ServiceCollection().BuildServiceProvider();

    private async Task<IMembershipTable> CreateTableAsync(string? cluster = null)
    {
        var table = new AdoNetClusteringTable(
            Services(),
            Cluster(cluster ?? _cluster),
            Options.Create(new AdoNetClusteringSiloOptions
            {
                Invariant = SchemaFixture.Invariant,
                DataSource = schema.DataSource,
            }),
            NullLogger<AdoNetClusteringTable>.Instance);
        await table.InitializeMembershipTableAsync(tryInitTableVersion: true, Token);
        return table;
    }
}

using System.Globalization;
using System.Security.Cryptography;
using Orleans.Storage;

namespace UPool.Cluster.Tests.Membership;

/// <summary>Orleans' own ADO.NET grain storage on our statements; each test has its own grains.</summary>
public sealed class GrainStorageTests(TwoSilosFixture cluster) : IClassFixture<TwoSilosFixture>
{
    private const string StateName = "tests-document";

    private readonly GrainId _grain = GrainId.Create("document", $"key-{Guid.NewGuid():N}");

    private IGrainStorage Storage => cluster.StorageOf(0);

    [Fact]
    public async Task ReadStateAsync_NeverWritten_FindsNone()
    {
        var state = await ReadAsync(_grain);

        Assert.False(state.RecordExists);
        Assert.Null(state.ETag);
    }

    [Fact]
    public async Task WriteStateAsync_Twice_ComesBackWithTheNewVersion()
    {
        var written = await WriteAsync(_grain, "first");
        var first = written.ETag;
        written.State!.Text = "second — Ünïcødé 🦀";
        await Storage.WriteStateAsync(StateName, _grain, written);
        Assert.NotEqual(first, written.ETag);

        var read = await ReadAsync(_grain, silo: 1);

        Assert.True(read.RecordExists);
        Assert.Equal(written.ETag, read.ETag);
        Assert.Equal("second — Ünïcødé 🦀", read.State!.Text);
    }

    [Fact]
    public async Task WriteStateAsync_OneMegabyte_ComesBackWhole()
    {
        // Random data includes every byte that escaping could corrupt.
        var payload = RandomNumberGenerator.GetBytes(1 << 20);
        var state = new GrainState<Document>(new Document { Bytes = payload });

        await Storage.WriteStateAsync(StateName, _grain, state);

        Assert.Equal(payload, (await ReadAsync(_grain)).State!.Bytes);
    }

    [Fact]
    public async Task WriteStateAsync_StaleVersion_ConflictsAndChangesNothing()
    {
        await WriteAsync(_grain, "first");
        var one = await ReadAsync(_grain);
        var two = await ReadAsync(_grain, silo: 1);
        one.State!.Text = "of one";
        await Storage.WriteStateAsync(StateName, _grain, one);

        two.State!.Text = "of two";
        await Assert.ThrowsAsync<InconsistentStateException>(
            () => cluster.StorageOf(1).WriteStateAsync(StateName, _grain, two));

        var read = await ReadAsync(_grain);
        Assert.Equal("of one", read.State!.Text);
        Assert.Equal(one.ETag, read.ETag);
    }

    [Fact]
    public async Task WriteStateAsync_SamePayloadAgain_MovesTheVersion()
    {
        var state = await WriteAsync(_grain, "same");
        var before = state.ETag;

        await Storage.WriteStateAsync(StateName, _grain, state);

        Assert.NotEqual(before, state.ETag);
    }

    [Fact]
    public async Task WriteStateAsync_FirstWritesAtOnce_OneWins()
    {
        for (var round = 0; round < 20; round++)
        {
            var grain = GrainId.Create("document", $"race-{Guid.NewGuid():N}");
            var attempts = Enumerable.Range(0, 4).Select(async number =>
            {
                try
                {
                    var state = new GrainState<Document>(new Document { Text = $"of {number}" });
                    await cluster.StorageOf(number % 2).WriteStateAsync(StateName, grain, state);
                    return state.State!.Text;
                }
                catch (InconsistentStateException)
                {
                    return null;
                }
            });

            var winner = Assert.Single(await Task.WhenAll(attempts), text => text is not null);

            Assert.Equal(winner, (await ReadAsync(grain)).State!.Text);
        }
    }

    [Fact]
    public async Task WriteStateAsync_VersionNobodyWrote_ConflictsAndWritesNothing()
    {
        var state = new GrainState<Document>(new Document { Text = "from nowhere" }, "7");

        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.WriteStateAsync(StateName, _grain, state));

        Assert.False((await ReadAsync(_grain)).RecordExists);
    }

    /// <summary>The smallest and largest versions, and those that an older schema wrote.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(int.MaxValue - 1)]
    [InlineData(int.MaxValue)]
    public async Task WriteStateAsync_AnyVersionBefore_IsFollowedByAnother(int before)
    {
        var state = await WriteAsync(_grain, "old");
        await cluster.Schema.ExecuteAsync(
            "UPDATE upool_grain_state SET Version = @v WHERE GrainIdExtensionString = @k",
            ("@v", before), ("@k", _grain.Key.ToString()));
        state.ETag = before.ToString(CultureInfo.InvariantCulture);

        await Storage.WriteStateAsync(StateName, _grain, state);

        Assert.InRange(int.Parse(state.ETag, CultureInfo.InvariantCulture), 1, int.MaxValue);
        Assert.NotEqual(before.ToString(CultureInfo.InvariantCulture), state.ETag);
        Assert.Equal(state.ETag, (await ReadAsync(_grain)).ETag);
    }

    [Fact]
    public async Task ClearStateAsync_Written_KeepsTheVersionMoving()
    {
        var state = await WriteAsync(_grain, "to go");
        var stale = await ReadAsync(_grain);

        await Storage.ClearStateAsync(StateName, _grain, state);

        var read = await ReadAsync(_grain);
        Assert.False(read.RecordExists);
        Assert.NotEqual(stale.ETag, read.ETag);
        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.WriteStateAsync(StateName, _grain, stale));
        read.State!.Text = "again";
        await Storage.WriteStateAsync(StateName, _grain, read);
        Assert.Equal("again", (await ReadAsync(_grain)).State!.Text);
    }

    [Fact]
    public async Task ClearStateAsync_StaleVersion_ConflictsAndChangesNothing()
    {
        var stale = await WriteAsync(_grain, "first");
        var current = await ReadAsync(_grain);
        await Storage.WriteStateAsync(StateName, _grain, current);

        await Assert.ThrowsAsync<InconsistentStateException>(() => Storage.ClearStateAsync(StateName, _grain, stale));

        Assert.Equal("first", (await ReadAsync(_grain)).State!.Text);
    }

    [Theory]
    [InlineData("Key-", "key-")]
    [InlineData("key- ", "key-")]
    [InlineData("kéy-", "key-")]
    public async Task WriteStateAsync_KeysThatTextColumnsCompareAsEqual_AreTwoStates(string one, string two)
    {
        // The ids differ at the end, where comparisons pad.
        var id = $"x{Guid.NewGuid():N}x";
        var first = GrainId.Create("document", id + one);
        var second = GrainId.Create("document", id + two);
        await WriteAsync(first, "one");

        Assert.False((await ReadAsync(second)).RecordExists);
        await WriteAsync(second, "two");

        Assert.Equal("one", (await ReadAsync(first)).State!.Text);
    }

    [Fact]
    public async Task WriteStateAsync_TwoStateNamesOfOneGrain_AreTwoStates()
    {
        await WriteAsync(_grain, "one");
        var other = new GrainState<Document>(new Document { Text = "two" });
        await Storage.WriteStateAsync("Tests-Document", _grain, other);

        Assert.Equal("one", (await ReadAsync(_grain)).State!.Text);
    }

    [Fact]
    public async Task WriteStateAsync_LongestKey_IsKept()
    {
        var longest = GrainId.Create("document", new string('é', 480) + Guid.NewGuid().ToString("N"));
        await WriteAsync(longest, "long");

        Assert.Equal("long", (await ReadAsync(longest)).State!.Text);
    }

    [Fact]
    public async Task ClearStorageQuery_WithoutAVersion_MakesNoState()
    {
        // Orleans never sends this case, so it is tested directly.
        var clear = await cluster.Schema.ExecuteAsync(
            "SELECT QueryText FROM OrleansQuery WHERE QueryKey = 'ClearStorageKey'");

        Assert.Equal("", await cluster.Schema.ExecuteAsync(
            clear, [.. Key(_grain.ToString()), ("@GrainStateVersion", null)]));

        Assert.Equal("0", await cluster.Schema.ExecuteAsync(
            "SELECT COUNT(*) FROM upool_grain_state WHERE ServiceId = @s", ("@s", _grain.ToString())));
    }

    [Fact]
    public async Task DeleteStorageQuery_CurrentVersion_DeletesTheRow()
    {
        // Orleans uses this statement only with DeleteStateOnClear, so it is tested directly.
        var written = await WriteAsync(_grain, "to go");
        var delete = await cluster.Schema.ExecuteAsync(
            "SELECT QueryText FROM OrleansQuery WHERE QueryKey = 'DeleteStorageKey'");
        var write = await cluster.Schema.ExecuteAsync(
            "SELECT QueryText FROM OrleansQuery WHERE QueryKey = 'WriteToStorageKey'");
        var key = Key(_grain.ToString());
        var version = await cluster.Schema.ExecuteAsync(
            write, [.. key, ("@GrainStateVersion", null), ("@PayloadBinary", new byte[] { 1 })]);

        Assert.Equal("", await cluster.Schema.ExecuteAsync(delete, [.. key, ("@GrainStateVersion", 0)]));
        var deleted = await cluster.Schema.ExecuteAsync(delete, [.. key, ("@GrainStateVersion", version)]);
        Assert.InRange(int.Parse(deleted, CultureInfo.InvariantCulture), 1, int.MaxValue);
        Assert.NotEqual(version, deleted);
        Assert.Equal("", await cluster.Schema.ExecuteAsync(delete, [.. key, ("@GrainStateVersion", version)]));
        Assert.Equal(written.ETag, (await ReadAsync(_grain)).ETag);
    }

    private static (string, object?)[] Key(string service) =>
    [
        ("@GrainIdHash", 1), ("@GrainTypeHash", 2), ("@GrainIdN0", 3L), ("@GrainIdN1", 4L),
        ("@GrainTypeString", "t"), ("@GrainIdExtensionString", null), ("@ServiceId", service),
    ];

    private async Task<GrainState<Document>> WriteAsync(GrainId grain, string text)
    {
        var state = new GrainState<Document>(new Document { Text = text });
        await Storage.WriteStateAsync(StateName, grain, state);
        return state;
    }

    private async Task<GrainState<Document>> ReadAsync(GrainId grain, int silo = 0)
    {
        var state = new GrainState<Document>(new Document());
        await cluster.StorageOf(silo).ReadStateAsync(StateName, grain, state);
        return state;
    }
}

/// <summary>A state with text and bytes.</summary>
[GenerateSerializer, Alias("UPool.Tests.Document")]
public sealed class Document
{
    /// <summary>Text.</summary>
    [Id(0)] public string? Text { get; set; }

    /// <summary>Bytes.</summary>
    [Id(1)] public byte[]? Bytes { get; set; }
}

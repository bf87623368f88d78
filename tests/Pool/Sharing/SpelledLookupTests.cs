using System.Collections.Concurrent;

using UPool.Tests.Fakes;

namespace UPool.Tests.Sharing;

/// <summary>A look-up by text returns what a single SELECT would: the server decides which spellings are one
/// key.</summary>
public sealed class SpelledLookupTests
{
    [Fact]
    public Task AskMany_OtherSpelling_IsAnsweredByItsRow() => RunAsync(async (lookup, table) =>
    {
        Assert.Equal(["row ann", "row bob", null, "row cy"], await lookup(["ANN", "Bob", "nobody", "cy"]));
        Assert.All(table.Asked.Skip(1), static keys => Assert.DoesNotContain("cy", keys));
    });

    [Fact]
    public Task AskMany_TwoSpellingsOfOneRow_AreBothAnsweredByIt() => RunAsync(async (lookup, _) =>
        Assert.Equal(["row ann", "row ann", "row ann"], await lookup(["ann", "ANN", "Ann"])));

    [Fact]
    public Task AskMany_EveryKeyExact_IsOneStatement() => RunAsync(async (lookup, table) =>
    {
        Assert.Equal(["row ann", "row bob"], await lookup(["ann", "bob"]));
        Assert.Single(table.Asked);
    });

    [Fact]
    public Task AskMany_NoRowForAnyKey_IsOneStatement() => RunAsync(async (lookup, table) =>
    {
        Assert.Equal([null, null], await lookup(["nobody", "none"]));
        Assert.Single(table.Asked);
    });

    [Fact]
    public Task AskMany_SomeKeysWithoutARow_AreAskedOnceMoreTogether() => RunAsync(async (lookup, table) =>
    {
        Assert.Equal(["row ann", null, null, null], await lookup(["ann", "x", "y", "z"]));
        Assert.Equal(2, table.Asked.Count);
    });

    [Fact]
    public Task AskMany_AsManyOtherSpellingsAsAStatementHolds_AreBounded() => RunAsync(async (lookup, table) =>
    {
        string[] keys = [.. Enumerable.Range(0, SharedLookup<string, string>.MaxKeys).Select(static i => $"K{i}")];
        Assert.Equal(keys.Select(static key => $"row {key.ToLowerInvariant()}"), await lookup(keys));
        Assert.InRange(table.Asked.Count, keys.Length, 2 * keys.Length);
    });

    [Fact]
    public Task AskMany_RowsOfAskGoByAComparer_AreFoundByItInOneStatement() => RunAsync(
        async (lookup, table) =>
        {
            Assert.Equal(["row ann", "row bob"], await lookup(["ANN", "Bob"]));
            Assert.Single(table.Asked);
        },
        StringComparer.OrdinalIgnoreCase);

    [Fact]
    public Task AskMany_OneKeyHasSeveralRowsOfOtherSpellings_SaysSoWithoutTheKey() => RunAsync(
        async (lookup, table) =>
        {
            table.Rows["DUP"] = "one";
            table.Rows["dup"] = "two";
            Exception failure = await Assert.ThrowsAsync<InvalidOperationException>(() => lookup(["Dup", "ANN"]));
            Assert.Contains("'test'", failure.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("Dup", failure.Message, StringComparison.Ordinal);
            Assert.Equal(["two", "row ann"], await lookup(["dup", "ann"]));
        });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task Ask_OtherSpelling_IsAnsweredByItsRow(bool isShared) => PoolHarness.RunAsync(async pool =>
    {
        var table = new FoldingTable(StringComparer.Ordinal);
        var lookup = new SharedLookup<string, string>("test", pool.Source, table.LookUpAsync) { IsShared = isShared };
        Assert.Equal("row ann", (await pool.FinishAsync(lookup.AskAsync("Ann").AsTask())).GetValueOrThrow());
        Assert.Null((await pool.FinishAsync(lookup.AskAsync("nobody").AsTask())).GetValueOrThrow());
    });

    [Fact]
    public Task AskMany_NumbersWithoutARow_AreOneStatement() => PoolHarness.RunAsync(async pool =>
    {
        int statements = 0;
        var lookup = new SharedLookup<long, string>("test", pool.Source, (_, keys, _) =>
        {
            statements++;
            return Task.FromResult<IReadOnlyDictionary<long, string>>(
                new Dictionary<long, string> { [keys[0]] = "row" });
        });
        SharedAnswer<string?[]> rows = await pool.FinishAsync(lookup.AskManyAsync([1, 2, 3]).AsTask());
        Assert.Equal(["row", null, null], rows.GetValueOrThrow()!);
        Assert.Equal(1, statements);
    });

    private static Task RunAsync(
        Func<Func<string[], Task<string?[]>>, FoldingTable, Task> test, StringComparer? comparer = null) =>
        PoolHarness.RunAsync(async pool =>
        {
            var table = new FoldingTable(comparer ?? StringComparer.Ordinal);
            var lookup = new SharedLookup<string, string>("test", pool.Source, table.LookUpAsync);
            await test(
                async keys => (await pool.FinishAsync(lookup.AskManyAsync(keys).AsTask())).GetValueOrThrow()!, table);
        });

    /// <summary>A table with a case-insensitive collation.</summary>
    private sealed class FoldingTable(StringComparer comparer)
    {
        public Dictionary<string, string> Rows { get; } = Enumerable.Range(0, 300).Select(static i => $"k{i}")
            .Concat(["ann", "bob", "cy"]).ToDictionary(static key => key, static key => $"row {key}");

        public ConcurrentQueue<IReadOnlyList<string>> Asked { get; } = [];

        public Task<IReadOnlyDictionary<string, string>> LookUpAsync(
            PooledConnection connection, IReadOnlyList<string> keys, CancellationToken token)
        {
            Asked.Enqueue(keys);
            return Task.FromResult<IReadOnlyDictionary<string, string>>(Rows
                .Where(row => keys.Contains(row.Key, StringComparer.OrdinalIgnoreCase))
                .ToDictionary(static row => row.Key, static row => row.Value, comparer));
        }
    }
}

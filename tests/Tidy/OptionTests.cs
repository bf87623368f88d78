using System.Reflection;

namespace UPool.Tidy.Tests;

/// <summary>The documents explain every option and no other.</summary>
public sealed class OptionTests
{
    private const string Document = "docs/operating/configuration.md";

    private static readonly string[] Assemblies =
    [
        "UPool", "UPool.Sqlite", "UPool.Hosting", "UPool.Cluster", "UPool.Management", "UPool.Grains", "UPool.Api",
        "UPool.Silo",
    ];

    // Read before options exist.
    private static readonly string[] BesideOptions = ["UPool:Api:HostSilo"];

    private static HashSet<string> Read =>
    [
        .. OptionKeys.Of([.. Assemblies.SelectMany(name => Assembly.Load(name).GetTypes())]),
        .. BesideOptions,
    ];

    private static IReadOnlySet<string> Explained =>
        OptionKeys.In(Repository.Text(Document, "every option of the code in backticks, like `UPool:Http:MaxRows`"));

    [Fact]
    public void Document_EveryOption_IsExplained() =>
        Findings.AssertNone($"options that {Document} does not explain", Read.Except(Explained).Order());

    [Fact]
    public void Document_EveryKey_IsReadByTheCode()
    {
        // A document may name a whole section.
        var sections = Read.Select(key => key[..key.LastIndexOf(':')]);

        Findings.AssertNone(
            $"keys in {Document} that no code reads", Explained.Except(Read).Except(sections).Order());
    }

    [Fact]
    public void Of_Samples_FindsWhatAConfigurationCanGive() =>
        Assert.Equal(
            ["Sample:Section:Count", "Sample:Section:Wait", "Validated:Section:Name", "Sample:Single"],
            OptionKeys.Of(
            [
                typeof(SampleOptions), typeof(ValidatedOptions), typeof(ValidatedOptionsValidator),
                typeof(SingleOptions),
            ]));

    [Fact]
    public void Of_OptionsThatSayNotWhereTheyAreBound_Throws() =>
        Assert.Throws<InvalidOperationException>(() => OptionKeys.Of([typeof(ValidatedOptions)]).ToArray());

    [Fact]
    public void In_Sample_FindsKeysInBackticks() =>
        Assert.Equal(
            ["ConnectionStrings:UPool", "UPool:A:B", "UPool:C"],
            OptionKeys.In("| `UPool:A:B` | 5 |\n`ConnectionStrings:UPool`, UPool:Not:This and `UPool:C`.").Order());

    private sealed class SampleOptions
    {
        public const string Section = "Sample:Section";

        public int? Count { get; set; }

        public TimeSpan Wait { get; set; }

        public Func<int>? ByCode { get; set; }

        public string Derived => $"{Count}";
    }

    private sealed class ValidatedOptions
    {
        public string? Name { get; set; }
    }

    private static class ValidatedOptionsValidator
    {
        public const string Section = "Validated:Section";
    }

    private sealed class SingleOptions
    {
        public const string SingleKey = "Sample:Single";

        public bool Single { get; set; }
    }
}

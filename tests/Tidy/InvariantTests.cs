namespace UPool.Tidy.Tests;

/// <summary>Every guarantee names an existing test or is marked as planned.</summary>
public sealed class InvariantTests
{
    private static IReadOnlyList<Invariant> Defined =>
        Invariants.Read(Repository.Text("ARCHITECTURE.md", "the invariants (INV-n) and the tests that hold them"));

    [Fact]
    public void Architecture_EveryInvariant_NamesAnExistingTestOrIsPlanned()
    {
        var tests = Repository.FilesOf(".cs", "tests/")
            .SelectMany(file => Invariants.TestMethods(Repository.Text(file, "tests"))).ToHashSet();

        Assert.NotEmpty(Defined);
        Findings.AssertNone(
            "invariants without a test",
            from invariant in Defined
            let missing = invariant.Tests.Where(test => !tests.Contains(test)).ToArray()
            where missing.Length > 0 || (invariant.Tests.Count == 0 && !invariant.IsPlanned)
            select missing.Length > 0
                ? $"{invariant.Name} names tests that do not exist: {string.Join(", ", missing)}"
                : $"{invariant.Name} names no test and is not *planned*");
    }

    [Fact]
    public void Architecture_EveryInvariant_IsDefinedOnce() =>
        Findings.AssertNone(
            "invariants that are defined more than once",
            Defined.GroupBy(invariant => invariant.Name).Where(group => group.Count() > 1).Select(group => group.Key));

    [Fact]
    public void Sources_EveryCitedInvariant_IsDefined()
    {
        var defined = Defined.Select(invariant => invariant.Name).ToHashSet();

        Findings.AssertNone(
            "invariants that ARCHITECTURE.md does not define",
            from file in Repository.Files
            where !file.StartsWith("tests/Tidy/", StringComparison.Ordinal)
            from cited in Invariants.Cited(Repository.Text(file, "text")).Distinct()
            where !defined.Contains(cited)
            select $"{cited}, cited in {file}");
    }

    [Fact]
    public void Read_ListTableAndProse_FindsDefinitionsTestsAndPlans()
    {
        const string Sample = """
            ## Guarantees

            INV-7 is cited here, at the beginning of a line.

            - **INV-1** No more sessions than permits (see INV-3).
              Held by `Rent_Full_Waits` and
              `PoolTests.Close_Twice_IsOnce()`, in `Core/Pool.cs`.
            - **INV-2** The whole cluster. *planned*

            | INV-3 | One renter. | `Owner_Swapped_Fails` |
            | INV-4 | In order. | by `review` |

            As INV-1 says, nothing is lost: `Not_Part_OfIt`.
            """;

        Assert.Equal(
            ["INV-1: Rent_Full_Waits,Close_Twice_IsOnce", "INV-2: planned", "INV-3: Owner_Swapped_Fails", "INV-4: "],
            Invariants.Read(Sample).Select(one =>
                $"{one.Name}: {(one.IsPlanned ? "planned" : string.Join(',', one.Tests))}"));
    }

    [Fact]
    public void TestMethods_Sample_FindsTheMethodsAndNotTheirCalls()
    {
        const string Sample = """
                public async Task Rent_Full_Waits()
                public void Close_Twice_IsOnce(int times)
                await Other_Method_Called();
                private void Helper_Is_None()
            """;

        Assert.Equal(["Rent_Full_Waits", "Close_Twice_IsOnce"], Invariants.TestMethods(Sample));
    }
}

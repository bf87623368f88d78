using UPool.Cluster.Budget;

namespace UPool.Cluster.Tests.Budget;

/// <summary>The sum that ServerConnections must cover.</summary>
public sealed class BudgetSumTests
{
    [Fact]
    public void Of_Defaults_CountsEveryConnectionThereCanBe()
    {
        BudgetSum sum = BudgetSum.Of(new BudgetOptions().ToSettings(100));

        Assert.Equal((16, 8, 2, 2, 8),
            (sum.SiloControl, sum.ClientControl, BudgetSum.Migration, sum.Reserve, sum.Floors));
        Assert.Equal(36, sum.Needed);
        Assert.Equal(72, sum.Shared);
        Assert.True(sum.Fits);
        Assert.StartsWith("Of 100 server connections 36 are taken by 8 silos", sum.ToString());
        Assert.EndsWith("; 64 are distributed by demand.", sum.ToString());
    }

    [Fact]
    public void Fits_OneTooFew_SaysTheSumAndWhatToDo()
    {
        BudgetSum sum = BudgetSum.Of(new BudgetOptions().ToSettings(35));

        Assert.False(sum.Fits);
        Assert.Equal(
            "UPool:Budget:ServerConnections is 35, and 36 are needed: 8 silos (those of a roll-out's surge included) "
            + "with 2 control connections and a floor of 1 each (24), 4 clients with 2 control connections each (8), "
            + "the migration (2), the reserve (2). Raise ServerConnections within the server's max_connections, or "
            + "lower MaxSilos, MaxClients, Reserve or Floor.",
            sum.ToString());
        Assert.True(BudgetSum.Of(new BudgetOptions().ToSettings(36)).Fits);
        Assert.Equal(0, BudgetSum.Of(new BudgetOptions().ToSettings(10)).Shared);
    }
}

using Microsoft.Extensions.Options;
using UPool.Cluster.Budget;
using UPool.Cluster.Membership;
using UPool.Cluster.Registration;

namespace UPool.Cluster.Tests.Budget;

/// <summary>Option errors that stop the start, and their messages.</summary>
public sealed class BudgetOptionTests
{
    [Theory]
    [InlineData("36")]
    [InlineData(" auto ")]
    [InlineData("AUTO")]
    [InlineData(null)]
    [InlineData("")]
    public void Validate_GoodNumber_Passes(string? number) =>
        Assert.True(Validate(o => o.ServerConnections = number).Succeeded);

    [Theory]
    [InlineData("0")]
    [InlineData("-5")]
    [InlineData("1.5")]
    [InlineData("100001")]
    [InlineData("many")]
    public void Validate_BadNumber_NamesTheKey(string number) => Assert.Contains(
        $"UPool:Budget:ServerConnections is '{number}'", Failure(o => o.ServerConnections = number),
        StringComparison.Ordinal);

    [Theory]
    [InlineData(nameof(ClusterMode.Localhost), false)]
    [InlineData(nameof(ClusterMode.MySql), true)]
    public void Validate_LoneSilo_RefusesABudget(string mode, bool passes)
    {
        ValidateOptionsResult result =
            new ClusterBudgetValidator(Options.Create(new UPoolClusterOptions { Mode = mode }))
                .Validate(null, new BudgetOptions { ServerConnections = "100" });

        Assert.Equal(passes, result.Succeeded);
        if (!passes)
            Assert.Contains("a lone silo shares nothing", result.FailureMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_NumberBelowTheSum_SaysTheSum()
    {
        string failure = Failure(o =>
        {
            o.ServerConnections = "17";
            o.MaxSilos = 4;
            o.MaxClients = 1;
        });

        // 4 x (2 + 1) + 1 x 2 + 2 + 2
        Assert.Contains("is 17, and 18 are needed", failure, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_LeaseOfTwoIntervals_IsRefused() => Assert.Contains(
        "at least 3 times RenewInterval", Failure(o => o.RenewInterval = TimeSpan.FromSeconds(4)),
        StringComparison.Ordinal);

    [Theory]
    [InlineData(nameof(BudgetOptions.MaxSilos), 0)]
    [InlineData(nameof(BudgetOptions.MaxClients), -1)]
    [InlineData(nameof(BudgetOptions.Reserve), -1)]
    [InlineData(nameof(BudgetOptions.Floor), 0)]
    [InlineData(nameof(BudgetOptions.Weight), 101)]
    public void Validate_OutOfRange_NamesTheKey(string key, int value) => Assert.Contains(
        $"UPool:Budget:{key} is {value}", Failure(o => typeof(BudgetOptions).GetProperty(key)!.SetValue(o, value)),
        StringComparison.Ordinal);

    [Fact]
    public void NumberOn_Auto_IsTheShareOfTheServersLimit()
    {
        var options = new BudgetOptions { ServerConnections = "auto", AutoShare = 0.5 };

        Assert.Equal(75, options.NumberOn(151));
        Assert.Equal(1, options.NumberOn(1));
    }

    [Fact]
    public void DeploymentIdentity_TwoDeployments_OwnTheirOwnAlone()
    {
        var one = new DeploymentIdentity("a", "bc");
        var other = new DeploymentIdentity("ab", "c");

        Assert.True(one.Owns(one.Incarnation));
        Assert.True(one.Owns(new DeploymentIdentity("a", "bc").Incarnation));
        Assert.False(one.Owns(other.Incarnation));
        Assert.NotEqual(one.Incarnation, new DeploymentIdentity("a", "bc").Incarnation);
        Assert.Equal(one.Incarnation, one.Incarnation);
        Assert.InRange(one.Incarnation.Length, 1, LeaseRequest.MaxIncarnationLength);

        // Grain storage converts a key that parses as a number.
        Assert.Contains(one.CoordinatorKey, static c => !char.IsAsciiHexDigit(c));
    }

    private static string Failure(Action<BudgetOptions> change) => Assert.Single(Validate(change).Failures!);

    private static ValidateOptionsResult Validate(Action<BudgetOptions> change)
    {
        var options = new BudgetOptions { ServerConnections = "100" };
        change(options);
        return new BudgetOptionsValidator().Validate(null, options);
    }
}

using UPool.MySql;

namespace UPool.Cluster.Budget;

/// <summary>
/// The parts that must fit into the deployment's number: all possible server connections except those that the pools
/// share above their floors.
/// </summary>
internal sealed record BudgetSum
{
    private BudgetSum(BudgetSettings settings)
    {
        Settings = settings;
        SiloControl = settings.MaxSilos * ControlConnections.MaxConnections;
        ClientControl = settings.MaxClients * ControlConnections.MaxConnections;
        Floors = settings.MaxSilos * settings.Floor;
    }

    /// <summary>The settings that are added up.</summary>
    public BudgetSettings Settings { get; }

    /// <summary>The control connections of all silos, including a roll-out's surge.</summary>
    public int SiloControl { get; }

    /// <summary>The control connections of the clients, for their look-ups of gateways.</summary>
    public int ClientControl { get; }

    /// <summary>The control connections of one process that applies the schema.</summary>
    public static int Migration => ControlConnections.MaxConnections;

    /// <summary>Connections that are never granted.</summary>
    public int Reserve => Settings.Reserve;

    /// <summary>The floors of all silos.</summary>
    public int Floors { get; }

    /// <summary>The smallest number that covers all parts.</summary>
    public int Needed => SiloControl + ClientControl + Migration + Reserve + Floors;

    /// <summary>The connections that the silos' pools share, floors included; never negative.</summary>
    public int Shared => Math.Max(
        0, Settings.ServerConnections - SiloControl - ClientControl - Migration - Reserve);

    /// <summary>Whether the number covers its parts.</summary>
    public bool Fits => Settings.ServerConnections >= Needed;

    /// <summary>Adds up the parts.</summary>
    public static BudgetSum Of(BudgetSettings settings) => new(settings);

    /// <summary>The sum in words, for the log at the start and for error messages.</summary>
    public override string ToString()
    {
        string parts = $"{Settings.MaxSilos} silos (those of a roll-out's surge included) with "
            + $"{ControlConnections.MaxConnections} control connections and a floor of {Settings.Floor} each "
            + $"({SiloControl + Floors}), {Settings.MaxClients} clients with {ControlConnections.MaxConnections} "
            + $"control connections each ({ClientControl}), the migration ({Migration}), the reserve ({Reserve})";
        return Fits
            ? $"Of {Settings.ServerConnections} server connections {Needed} are taken by {parts}; "
                + $"{Settings.ServerConnections - Needed} are distributed by demand."
            : $"UPool:Budget:ServerConnections is {Settings.ServerConnections}, and {Needed} are needed: {parts}. "
                + "Raise ServerConnections within the server's max_connections, or lower MaxSilos, MaxClients, "
                + "Reserve or Floor.";
    }
}
